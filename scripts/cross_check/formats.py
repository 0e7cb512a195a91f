"""What `moecarlo bitslice` counts of weights in other formats, a second time in NumPy and from the rules: exponents of
BF16 and FP16 and their Huffman code, planes of sign and magnitude with merged columns, slices with a zero point.
"""

import heapq

import numpy as np

GROUP, TILE, MOST_ROWS, SHIFTS = 32, 256, 6, 7


# ---- formats made of the original weights --------------------------------------------------------------------------------

def by_channel(original):
    """INT8 with a scale a row."""
    w = original.astype(np.float64)
    largest = np.abs(w).max(axis=1, keepdims=True)
    return np.where(largest > 0, np.rint(w * 127 / np.where(largest > 0, largest, 1)), 0).astype(int)


def with_zero_point(original):
    """(weights 0 .. 255, zero points, float16 scales) of groups of 32 inputs; the latter two a weight each."""
    rows, columns = original.shape
    w = original.astype(np.float64)
    padded = np.pad(w, ((0, 0), (0, -columns % GROUP))).reshape(rows, -1, GROUP)
    low, high = np.minimum(padded.min(axis=2), 0), np.maximum(padded.max(axis=2), 0)
    with np.errstate(over="ignore"):
        scale = np.minimum(((high - low) / 255).astype(np.float32).astype(np.float16), np.float16(65504))
    step = np.where(scale > 0, scale, 1).astype(np.float64)
    zero = np.where(scale > 0, np.clip(np.rint(-low / step), 0, 255), 0)
    scale, step, zero = (np.repeat(a, GROUP, axis=1)[:, :columns] for a in (scale, step, zero))
    return np.clip(np.rint(np.where(scale > 0, w / step, 0)) + zero, 0, 255).astype(int), zero.astype(int), scale


# ---- counting ------------------------------------------------------------------------------------------------------------

def exponents(original):
    """Histograms of the exponent fields of the nearest BF16 and FP16."""
    w = original.astype(np.float32)
    bits = w.view(np.uint32).astype(np.uint64) & 0x7fffffff
    half = bits & 0xffff
    up = (half > 0x8000) | ((half == 0x8000) & ((bits >> 16) % 2 == 1))
    with np.errstate(over="ignore"):
        float16 = w.astype(np.float16).view(np.uint16) >> 10 & 31
    return (np.bincount((((bits >> 16) + up) >> 7).ravel().astype(int), minlength=256),
            np.bincount(float16.ravel(), minlength=32))


def additions(columns):
    """Of columns [groups, rows, inputs] of digits -1, 0 and 1: equal ones are added up, then each row adds its sums."""
    groups, rows, _ = columns.shape
    first = np.take_along_axis(columns, np.argmax(columns != 0, axis=1)[:, None], axis=1)
    words = ((columns * first + 1) * (3 ** np.arange(rows))[:, None]).sum(axis=1)  # negative ones are subtracted instead
    inputs = np.bincount((words + 3 ** rows * np.arange(groups)[:, None]).ravel(), minlength=groups * 3 ** rows)
    inputs = inputs.reshape(groups, 3 ** rows)
    digits = np.arange(3 ** rows)[:, None] // 3 ** np.arange(rows) % 3 != 1  # of each pattern: the rows that it is part of
    inputs[:, ~digits.any(axis=1)] = 0
    terms = (inputs > 0).astype(int) @ digits.astype(int)
    return int(np.maximum(inputs - 1, 0).sum() + np.maximum(terms - 1, 0).sum())


def planes(w):
    """[rows - 1][bit][bits spelled out, additions, with signs]"""
    rows, columns = w.shape
    found = np.zeros((MOST_ROWS, 7, 3), np.uint64)
    for merged in range(1, MOST_ROWS + 1):
        groups = np.pad(w, ((0, -rows % merged), (0, 0))).reshape(-1, merged, columns)
        height = np.minimum(merged, rows - merged * np.arange(len(groups)))
        for tile in range(0, columns, TILE):
            block = groups[:, :, tile:tile + TILE]
            for bit in range(7):
                ones = np.abs(block) >> bit & 1
                found[merged - 1, bit] += np.array([(ones.any(axis=1).sum(axis=1) * height).sum(), additions(ones),
                                                    additions(ones * np.sign(block))], np.uint64)
    return found


def zero_point_errors(q, z):
    """[zero point shifted, whole][bits left out]"""
    errors = np.zeros((2, SHIFTS), np.uint64)
    for shift in range(1, SHIFTS):
        errors[:, shift] = [((q - z - ((q >> shift) - (z >> shift)) * 2 ** shift) ** 2).sum(),
                            ((q - z - ((q >> shift) * 2 ** shift - z)) ** 2).sum()]
    return errors


def counts_of(w, original):
    """{name: integers} of one matrix, INT8 and its original weights."""
    channel = by_channel(original)
    q, z, _ = with_zero_point(original)
    bfloat16, float16 = exponents(original)
    return {"group_planes": planes(w), "channel_planes": planes(channel), "group_zeros": int((w == 0).sum()),
            "channel_zeros": int((channel == 0).sum()), "bfloat16_exponents": bfloat16, "float16_exponents": float16,
            "zero_point_errors": zero_point_errors(q, z)}


# ---- figures -------------------------------------------------------------------------------------------------------------

def entropy(counts):
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum()) + 0.0


def huffman_bits(counts):
    """Mean length of a Huffman code: every merge adds a bit to all that it holds."""
    heap = [int(count) for count in counts if count > 0]
    total, bits = sum(heap), 0
    if len(heap) == 1:
        return 1.0
    heapq.heapify(heap)
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        bits += both
        heapq.heappush(heap, both)
    return bits / total


def magnitude_figures(w, found, zeros):
    rows, columns = w.shape
    dense = 7 * rows * (columns - -(-columns // TILE))
    by_rows = {}
    for merged in range(1, MOST_ROWS + 1):
        coded = (-(-rows // merged) * columns + found[merged - 1, :, 0].astype(int)) / w.size
        of = [int(found[merged - 1, :, i].sum()) for i in range(3)]
        by_rows[str(merged)] = {"coded_bits": 3 + coded[2:].sum(), "paying_bits": 1 + np.minimum(coded, 1).sum(),
                                "plane_bits": list(coded), "dense_over_merged": dense / of[1],
                                "set_over_merged": int(found[0, :, 1].sum()) / of[1],
                                "dense_over_signed_merged": dense / of[2]}
    return {"weights": w.size, "zero_share": zeros / w.size, "one_share": list(found[0, :, 0].astype(int) / w.size),
            "rows": by_rows}


def figures_of(w, original, counts, kept_bits):
    """The figures of one matrix, as bitslice.json has them, of its counts."""
    bfloat16, float16 = counts["bfloat16_exponents"], counts["float16_exponents"]
    code = huffman_bits(bfloat16)
    q, z, scale = with_zero_point(original)
    signal = ((scale.astype(np.float64) * (q - z)) ** 2).sum()
    zero_point = {}
    for kept in kept_bits:
        shift, of = 8 - kept, {}
        for i, (name, value) in enumerate({"shifted": ((q >> shift) - (z >> shift)) * 2 ** shift,
                                           "whole": (q >> shift) * 2 ** shift - z}.items()):
            noise = ((scale.astype(np.float64) * (q - z - value)) ** 2).sum()
            of[name] = {"mse": int(counts["zero_point_errors"][i, shift]) / w.size,
                        "sqnr_db": 10 * np.log10(signal / noise)}
        zero_point[str(kept)] = of
    return {"lossless": {"entropy_bits": entropy(bfloat16), "code_bits": code,
                         "bits_per_weight": 8 + code * (1 + 5 / 64 + 32 / 32768)},
            "exponents": {"bfloat16": list(map(int, bfloat16)), "float16": list(map(int, float16)),
                          "float16_entropy_bits": entropy(float16),
                          "float16_free_bit_share": float16[:16].sum() / w.size},
            "sign_magnitude": {"group": magnitude_figures(w, counts["group_planes"], counts["group_zeros"]),
                               "channel": magnitude_figures(w, counts["channel_planes"], counts["channel_zeros"])},
            "zero_point": zero_point}


# ---- by hand -------------------------------------------------------------------------------------------------------------

def self_test():
    """One line for each hand case that comes out otherwise."""
    columns = np.array([[0, 0, 0, 0, 0, 1], [1, 1, 1, 0, 1, 1], [0, 1, 1, 0, 0, 0]])
    coded = planes(np.array([[0, 0, 0, 1, 0], [0] * 5, [0, 0, 0, 1, 0], [0, 1, 0, 0, 0]]))
    cases = {"two-state coded bits": (5 + int(coded[3, 0, 0]), 13),
             "additions of set bits": (sum(additions(row[None, None]) for row in columns), 5),
             "merged additions": (additions(columns[None]), 4),
             "bits of 16 DFloat11 weights": (16 * (8 + huffman_bits([8, 4, 2, 1, 1])), 158),
             "slice with its zero point shifted": (((45 >> 3) - (20 >> 3)) * 8, 24),
             "slice with its zero point whole": ((45 >> 3) * 8 - 20, 20)}
    return [f"{name}: {found} (expected {expected})" for name, (found, expected) in cases.items() if found != expected]
