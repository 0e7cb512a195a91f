#!/usr/bin/env python3
"""Counts bit slices of a weights file a second time, in NumPy and from the rules, and compares.

The counts of `moecarlo bitslice WEIGHTS -o DIR` (DIR/counts.h5) must be equal, every integer; its figures
(DIR/bitslice.json) agree to nine digits.

Usage: bitslice.py WEIGHTS DIR         exit status 1 where something differs
       bitslice.py --self-test         the rules against the published tables of LSB-augmented slices
"""

import argparse
import json
import sys
from math import isclose
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import formats  # noqa: E402
from accepted import open_accepted  # noqa: E402

GROUP, ROWS = 32, 4
READINGS = ("truncate", "round", "lsb_augmented", "dedicated")
PROJECTIONS = ("gate", "up", "down")


# ---- how a draft reads w, in units of w --------------------------------------------------------------------------------

def truncate(w, kept):
    step = 2 ** (8 - kept)
    return np.floor_divide(w, step) * step


def round_up_halves(w, kept):
    step = 2 ** (8 - kept)
    return np.minimum(np.floor(w / step + 0.5).astype(int), 2 ** (kept - 1) - 1) * step


def lsb_augmented(w, kept):
    return truncate(w, kept) + 2 ** (7 - kept)


def copy_of(w, peak, bits):
    """The integers of a separate copy; its values are these times peak / largest."""
    largest = 2 ** (bits - 1) - 1
    return np.where(peak > 0, np.rint(w * largest / np.maximum(peak, 1)), 0).astype(int)


def read(reading, w, peak, kept):
    if reading == "dedicated":
        return copy_of(w, peak, kept) * peak / (2 ** (kept - 1) - 1)
    return {"truncate": truncate, "round": round_up_halves, "lsb_augmented": lsb_augmented}[reading](w, kept)


# ---- counting ----------------------------------------------------------------------------------------------------------

def spread(per_group, columns):
    """A number a group, repeated for each weight of the group."""
    return np.repeat(per_group, GROUP, axis=1)[:, :columns]


def peaks_of(w):
    """The largest magnitude in each weight's group."""
    rows, columns = w.shape
    padded = np.pad(np.abs(w), ((0, 0), (0, -columns % GROUP)))
    return spread(padded.reshape(rows, -1, GROUP).max(axis=2), columns)


def units_of(scale):
    """(shift, scales in units of 2^(shift - 24)): fewer than 2^16 of them, halves to even."""
    shift = 0
    while float(scale.max()) >= 2.0 ** (16 + shift - 24):
        shift += 1
    return shift, np.rint(scale.astype(np.float64) / 2.0 ** (shift - 24)).astype(np.uint64)


def counts_of(w, scale):
    """{name: integers} of one matrix."""
    rows, columns = w.shape
    byte = (w & 255).astype(np.uint8)
    shift, units = units_of(scale)
    squares = np.zeros(256, np.uint64)
    np.add.at(squares, byte.ravel(), (spread(units, columns) ** np.uint64(2)).ravel())
    peak = peaks_of(w)
    errors = [0, 0]
    for bits in range(2, 9):
        largest = 2 ** (bits - 1) - 1
        errors.append(int(((w * largest - copy_of(w, peak, bits) * peak) ** 2).sum()))
    padded = np.pad(byte, ((0, -rows % ROWS), (0, 0))).reshape(-1, ROWS, columns)
    sign = padded >> 7
    patterns, groups, spelled = [], [], []
    for bit in range(8):
        plane = (padded >> bit) & 1
        pattern = (plane * (1 << np.arange(ROWS))[None, :, None]).sum(axis=1)
        keys = pattern + 16 * np.arange(len(pattern))[:, None]
        histogram = np.bincount(keys.ravel(), minlength=16 * len(pattern)).reshape(-1, 16)
        patterns.append(histogram.sum(axis=0))
        groups.append((histogram > 0).sum(axis=0))
        spelled.append(int((plane if bit == 7 else plane ^ sign).any(axis=1).sum()))
    return {"scale_shift": shift, "values": np.bincount(byte.ravel(), minlength=256), "squared_scales": squares,
            "copy_errors": np.array(errors), "pattern_columns": np.array(patterns), "pattern_groups": np.array(groups),
            "spelled_columns": np.array(spelled)}


# ---- figures -----------------------------------------------------------------------------------------------------------

def entropy(symbols):
    share = np.unique(symbols, return_counts=True)[1] / symbols.size
    return float(-(share * np.log2(share)).sum()) + 0.0


def repeats_of_sign(w, most):
    """Bits behind the sign that repeat it, at most so many of each weight."""
    fits = [(w >= -(2 ** bits)) & (w < 2 ** bits) for bits in range(7)]
    return np.minimum(sum(f.astype(int) for f in fits), most).sum()


def figures_of(w, scale, kept_bits):
    """The figures of one matrix, as bitslice.json has them."""
    rows, columns = w.shape
    size, scales, peak = w.size, spread(scale.astype(np.float64), columns), peaks_of(w)
    counts = counts_of(w, scale)
    groups, ones_in = -(-rows // ROWS), np.array([bin(p).count("1") for p in range(16)])
    planes = []
    for bit in range(8):
        found, seen = counts["pattern_columns"][bit], counts["pattern_groups"][bit]
        ones = int((found * ones_in).sum())
        planes.append({"bit": bit, "one_share": ones / size,
                       "coded_bits": (groups * columns + ROWS * counts["spelled_columns"][bit]) / size,
                       "distinct_patterns": seen.sum() / groups,
                       "merged_additions": (found[1:].sum() + (ones_in * seen).sum()) / ones if ones else 0})

    def coded(bits):
        return sum(min(1, planes[bit]["coded_bits"]) for bit in bits)

    def slice_figures(values, width, bits):
        ones = sum(int(((values >> i) & 1).sum()) for i in range(width))
        return {"zero_share": float((values == 0).mean()), "zero_bit_share": 1 - ones / (size * width),
                "entropy_bits": entropy(values), "coded_bits": coded(bits)}

    slices, drafts = {}, {}
    for kept in kept_bits:
        upper, lower = w >> (8 - kept), w % 2 ** (8 - kept)
        joint = sum(entropy(lower[upper == m]) * (upper == m).mean() for m in np.unique(upper))
        slices[str(kept)] = {"upper": slice_figures(upper, kept, range(8 - kept, 8)),
                             "lower": slice_figures(lower, 8 - kept, range(8 - kept)),
                             "sign_extension_share": repeats_of_sign(w, kept - 1) / (kept * size),
                             "conditional_entropy_bits": joint}
        drafts[str(kept)] = {}
        for reading in READINGS:
            value = read(reading, w, peak, kept)
            signal, noise = ((scales * w) ** 2).sum(), ((scales * (w - value)) ** 2).sum()
            drafts[str(kept)][reading] = {
                "mse": float(((w - value) ** 2).mean()), "sqnr_db": 10 * np.log10(signal / noise),
                "cosine": (scales ** 2 * w * value).sum() / np.sqrt(signal * ((scales * value) ** 2).sum())}
    return {"weights": size, "entropy_bits": entropy(w), "sign_extension_share": repeats_of_sign(w, 7) / (8 * size),
            "slices": slices, "draft": drafts, "planes": planes[::-1]}


def similarity_of(matrices):
    """(mean, largest) cosine over all pairs."""
    flat = [w.ravel() * spread(scale.astype(np.float64), w.shape[1]).ravel() for w, scale in matrices]
    unit = np.array([v / np.linalg.norm(v) for v in flat])
    cosines = (unit @ unit.T)[np.triu_indices(len(flat), 1)]
    return cosines.mean(), cosines.max()


# ---- comparing ---------------------------------------------------------------------------------------------------------

def read_matrices(path):
    """{(layer, expert, projection): (weights, scales, original weights or None)}"""
    with open_accepted(path) as file:
        return {(int(g.attrs["layer"]), int(g.attrs["expert"]), g.attrs["projection"]):
                (g["int8"][()].astype(int), g["scale"][()], g["original"][()] if "original" in g else None)
                for g in file["matrices"].values()}


def differences(ours, theirs, where):
    """One line for each number of `ours` that `theirs` has not, to nine digits."""
    if isinstance(ours, dict):
        return [line for key in ours for line in differences(ours[key], theirs.get(key), f"{where}.{key}")]
    if isinstance(ours, list):
        return [line for i, one in enumerate(ours) for line in differences(one, theirs[i], f"{where}[{i}]")]
    if theirs is not None and isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-9):
        return []
    return [f"{where}: {theirs} (expected {ours})"]


def compare(weights, folder):
    """One line for each count and figure of a folder that is not what NumPy finds."""
    matrices = read_matrices(weights)
    problems = []
    with open_accepted(f"{folder}/counts.h5") as file:
        theirs = {name: file[name][()] for name in file}
    columns = (theirs[name] for name in ("layer", "expert", "projection"))
    keys = [(int(layer), int(expert), PROJECTIONS[projection]) for layer, expert, projection in zip(*columns)]
    if sorted(keys) != sorted(matrices):
        return ["counts.h5: other matrices than in the weights file"]
    others = {}
    for i, key in enumerate(keys):
        w, scale, original = matrices[key]
        others[key] = formats.counts_of(w, original) if original is not None else {}
        for name, ours in {**counts_of(w, scale), **others[key]}.items():
            if not np.array_equal(np.asarray(ours).astype(np.uint64), theirs[name][i]):
                problems.append(f"counts.h5: {name} of {key} differs")
    with open(f"{folder}/bitslice.json") as file:
        results = json.load(file)
    kept = [int(bits) for bits in results["total"]["slices"]]
    for one in results["matrices"]:
        key = (one["layer"], one["expert"], one["projection"])
        w, scale, original = matrices[key]
        figures = figures_of(w, scale, kept)
        if original is not None:
            figures.update(formats.figures_of(w, original, others[key], kept))
        problems += differences(figures, one, f"bitslice.json: {key}")
    for layer in results["layers"]:
        for projection, found in layer["similarity"].items():
            alike = [matrix[:2] for (of_layer, _, of_projection), matrix in matrices.items()
                     if (of_layer, of_projection) == (layer["layer"], projection)]
            ours = dict(zip(("mean", "largest"), similarity_of(alike)))
            problems += differences(ours, found, f"bitslice.json: layer {layer['layer']} similarity {projection}")
    return problems


# ---- the published tables ----------------------------------------------------------------------------------------------

# Mean squared error over w in [-127, 127], at 2, 3, 4 and 5 kept bits, and dB of Gaussian weights at 2, 3 and 4.
UNIFORM_MSE = {"truncate": (1338.7, 326.8, 77.8, 17.6), "round": (591.8, 116.0, 25.1, 5.9),
               "lsb_augmented": (338.8, 84.8, 21.3, 5.5)}
GAUSSIAN_SQNR = {"truncate": (3.2, 9.4, 15.6), "round": (8.1, 14.5, 20.6), "lsb_augmented": (8.9, 15.0, 21.0),
                 "dedicated": (3.6, 12.9, 20.3)}
EXAMPLES = {93: 88, -37: -40, 0: 8, -1: -8, 127: 120}


def gaussian(rows, columns, seed, sigma=0.02):
    """(INT8 weights, float16 scales, weights) in groups of 32 that their largest magnitude scales."""
    w = np.random.default_rng(seed).normal(0, sigma, (rows, columns)).astype(np.float32)
    padded = np.pad(np.abs(w), ((0, 0), (0, -columns % GROUP)))
    scale = (padded.reshape(rows, -1, GROUP).max(axis=2) / 127).astype(np.float16)
    step = spread(scale.astype(np.float32), columns)
    return np.clip(np.rint(w / np.where(step > 0, step, 1)), -127, 127).astype(int), scale, w


def self_test():
    w = np.arange(-127, 128)
    problems = [f"{one} is read as {int(lsb_augmented(one, 4))} (expected {draft})"
                for one, draft in EXAMPLES.items() if lsb_augmented(one, 4) != draft]
    for reading, expected in UNIFORM_MSE.items():
        found = [((w - read(reading, w, 127, kept)) ** 2).mean() for kept in (2, 3, 4, 5)]
        problems += [f"MSE of {reading}: {f:.2f} (expected {e})" for f, e in zip(found, expected) if abs(f - e) > 0.1]
    figures = figures_of(*gaussian(1024, 2048, 1)[:2], (2, 3, 4))
    for reading, expected in GAUSSIAN_SQNR.items():
        found = [figures["draft"][str(kept)][reading]["sqnr_db"] for kept in (2, 3, 4)]
        problems += [f"SQNR of {reading}: {f:.2f} (expected {e})" for f, e in zip(found, expected) if abs(f - e) > 0.1]
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="?")
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if not arguments.self_test and not arguments.folder:
        parser.error("expected WEIGHTS and DIR, or --self-test")
    problems = self_test() + formats.self_test() if arguments.self_test else compare(arguments.weights, arguments.folder)
    fine = "the published tables" if arguments.self_test else "every count is equal, every figure agrees"
    print("\n".join(problems) or f"bitslice: {fine}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
