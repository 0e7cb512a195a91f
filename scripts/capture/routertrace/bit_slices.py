"""INT8 in groups of 32 with a float16 scale, and the upper k bits of it (ELMoE-3D, arXiv 2604.14626). NumPy.

A weight is w = scale x q, q in [-127, 127]; one scale, absmax / 127 rounded to float16, for every 32 neighbours along
the input dimension (the last axis). Keeping k bits leaves m = q >> (8 - k); the LSB-augmented draft reads it as
2^(8-k) m + 2^(7-k), the middle of what was cut off, plain truncation as 2^(8-k) m.
"""

import numpy as np

GROUP = 32


def grouped(weights):
    """[..., columns] as [..., groups, 32], padded with zeros."""
    padding = -weights.shape[-1] % GROUP
    padded = np.pad(weights, [(0, 0)] * (weights.ndim - 1) + [(0, padding)])
    return padded.reshape(*weights.shape[:-1], -1, GROUP)


def quantise(weights):
    """`weights` [..., columns] as int8 of the same shape and float16 scales [..., ceil(columns / 32)]."""
    weights = np.asarray(weights, np.float32)
    groups = grouped(weights)
    scale = (np.abs(groups).max(-1) / np.float32(127)).astype(np.float16)
    wide = scale.astype(np.float32)[..., None]
    q = np.divide(groups, wide, out=np.zeros_like(groups), where=wide > 0)
    q = np.clip(np.rint(q), -127, 127).astype(np.int8)
    return q.reshape(*weights.shape[:-1], -1)[..., : weights.shape[-1]], scale


def keep_bits(q, bits, augmented=True):
    """The value that a draft reads from the upper `bits` of int8 `q`; at 8 bits `q` itself."""
    if bits == 8:
        return q.astype(np.int16)
    step = 1 << (8 - bits)
    return (q.astype(np.int16) & -step) + (step // 2 if augmented else 0)


def dequantise(values, scale, columns):
    """float32 [..., columns] of values [..., columns] and their scales."""
    product = grouped(np.asarray(values, np.float32)) * scale.astype(np.float32)[..., None]
    return product.reshape(*values.shape[:-1], -1)[..., :columns]
