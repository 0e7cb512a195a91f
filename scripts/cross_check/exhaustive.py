#!/usr/bin/python3
"""Exhaustive mode, computed a second time: NumPy and h5py only, written from the rules and not from the C++ sources.

For each draft depth d it enumerates every start s of every evaluation sequence with s + d inside that sequence and
counts, per MoE layer, what a verify pass over the tokens s .. s + d touches. Batch 1, static cache, rejected columns
routed as in the trace. All figures are integers, so a comparison with the program is exact.

    exhaustive.py gptoss20b.h5 --depths 0,4 --capacities 8,16 --calibration 0.2 > expected.json

Output, one JSON object:
  calibration, evaluation   sequences of each side, as numbers of the file's sequences
  layers[l].popularity      choices per expert in the calibration sequences
  depths[i]                 depth, starts, and layers[l] with
    passes                  verify passes (= starts)
    distinct                sum over passes of |U|, U = union of the d + 1 tokens' experts
    distinct_histogram      passes with |U| = 0 .. num_experts
    accepted_distinct       sum of |A_j| for accepted length j = 0 .. d, A_j = union of columns 0 .. j
    hits[C]                 sum of |U and resident|, resident = the C most popular experts, ties to the lower index
    rejected_only[C]        sum of |(U - A_j) - resident| for j = 0 .. d
"""

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from accepted import open_accepted  # noqa: E402

SPLIT_PURPOSE = 5
SETUP_STREAM = 2


def philox4x32_10(counter, key):
    """Philox4x32-10 (Salmon et al., SC 2011): four counter words and two key words to four random words."""
    c, k = list(counter), list(key)
    for _ in range(10):
        product_0, product_1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [
            (product_1 >> 32) ^ c[1] ^ k[0],
            product_1 & 0xFFFFFFFF,
            (product_0 >> 32) ^ c[3] ^ k[1],
            product_0 & 0xFFFFFFFF,
        ]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def split_sequences(numbers, calibration, split_seed):
    """Calibration and evaluation sides of the sequence numbers; `calibration` is a share or "all"."""
    if calibration == "all":
        return list(numbers), list(numbers)
    count = math.floor(float(calibration) * len(numbers) + 0.5)  # half away from zero, as C rounds
    if not 0 < count < len(numbers):
        sys.exit(f"exhaustive.py: calibration {calibration} leaves a side of {len(numbers)} sequences empty, use all")

    def draw(number):
        counter = (number & 0xFFFFFFFF, number >> 32, 0, SPLIT_PURPOSE << 24)
        return philox4x32_10(counter, (split_seed, SETUP_STREAM))[0]

    chosen = set(sorted(numbers, key=lambda number: (draw(number), number))[:count])
    return [n for n in numbers if n in chosen], [n for n in numbers if n not in chosen]


def top_k_of_logits(logits, top_k):
    """The k experts of the highest logits; the lower index wins a tie."""
    logits = logits.astype(np.float32)
    if not np.isfinite(logits).all():
        sys.exit("exhaustive.py: router_logits holds NaN or infinity")
    return np.argsort(-logits, axis=-1, kind="stable")[..., :top_k]


def read_trace(path):
    """Expert ids [T][L][k] of the used tokens, number of experts, and {sequence number: (first, length)}."""
    with open_accepted(path) as trace:
        experts = int(trace.attrs["num_experts"])
        if "selection_bias" in trace:
            sys.exit(f"exhaustive.py: {path} has a selection_bias, which this check does not cover")
        if "expert_ids" in trace:
            ids = trace["expert_ids"][:]
        else:
            ids = top_k_of_logits(trace["router_logits"][:], int(trace.attrs["top_k"]))
        offsets = trace["sequence_offsets"][:].astype(np.int64)
        decode = trace["phase"][:] == 1 if "phase" in trace else np.zeros(len(ids), bool)
    used = decode if decode.any() else np.ones(len(ids), bool)
    used_before = np.concatenate([[0], np.cumsum(used)])
    sequences = {}
    for number, (begin, end) in enumerate(zip(offsets[:-1], offsets[1:])):
        first, last = int(used_before[begin]), int(used_before[end])
        if last > first:
            sequences[number] = (first, last - first)
    return ids[used].astype(np.int64), experts, sequences


def pack(ids, experts):
    """Bit masks by expert index: [T][L][k] ids to [L][words][T] words of 64 bits."""
    tokens, layers, _ = ids.shape
    masks = np.zeros((layers, -(-experts // 64), tokens), np.uint64)
    for column in np.moveaxis(ids, 2, 0):
        bit = np.uint64(1) << (column % 64).astype(np.uint64)
        for word in range(masks.shape[1]):
            masks[:, word] |= np.where(column // 64 == word, bit, np.uint64(0)).T
    return masks


def popcount(words):
    """Members of each mask: [words][n] to [n]."""
    words = words.copy()
    words -= (words >> np.uint64(1)) & np.uint64(0x5555555555555555)
    pairs = words & np.uint64(0x3333333333333333)
    words = pairs + ((words >> np.uint64(2)) & np.uint64(0x3333333333333333))
    words = (words + (words >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return ((words * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.int64).sum(axis=0)


def resident_mask(popularity, capacity, words):
    """The `capacity` most popular experts as a [words][1] mask; ties to the lower expert index."""
    mask = np.zeros((words, 1), np.uint64)
    for expert in np.argsort(-popularity, kind="stable")[:capacity]:
        mask[expert // 64, 0] |= np.uint64(1) << np.uint64(expert % 64)
    return mask


def count_layer(masks, starts, depth, residents, experts):
    """One layer at one depth; masks [words][T], residents {capacity: [words][1]}."""
    accepted = [masks[:, starts]]  # accepted[j] = union of columns 0 .. j
    for column in range(1, depth + 1):
        accepted.append(accepted[-1] | masks[:, starts + column])
    union = accepted[-1]
    distinct = popcount(union)
    return {
        "passes": len(starts),
        "distinct": int(distinct.sum()),
        "distinct_histogram": np.bincount(distinct, minlength=experts + 1).tolist(),
        "accepted_distinct": [int(popcount(a).sum()) for a in accepted],
        "hits": {str(c): int(popcount(union & r).sum()) for c, r in residents.items()},
        "rejected_only": {
            str(c): [int(popcount(union & ~a & ~r).sum()) for a in accepted] for c, r in residents.items()
        },
    }


def eligible_starts(sequences, numbers, depth):
    runs = [np.arange(first, first + length - depth) for first, length in map(sequences.get, numbers) if length > depth]
    return np.concatenate(runs) if runs else np.zeros(0, np.int64)


def enumerate_trace(path, depths, capacities, calibration, split_seed):
    ids, experts, sequences = read_trace(path)
    masks = pack(ids, experts)
    layers, words = masks.shape[:2]
    held, evaluated = split_sequences(sorted(sequences), calibration, split_seed)
    tokens = np.concatenate([np.arange(sequences[n][0], sum(sequences[n])) for n in held])
    popularity = [np.bincount(ids[tokens, layer].ravel(), minlength=experts) for layer in range(layers)]
    residents = [{c: resident_mask(popularity[layer], c, words) for c in capacities} for layer in range(layers)]

    counted = []
    for depth in depths:
        starts = eligible_starts(sequences, evaluated, depth)
        rows = [count_layer(masks[layer], starts, depth, residents[layer], experts) for layer in range(layers)]
        counted.append({"depth": depth, "starts": len(starts), "layers": rows})
    return {
        "calibration": held,
        "evaluation": evaluated,
        "layers": [{"popularity": p.tolist()} for p in popularity],
        "depths": counted,
    }


def self_test():
    """Known answers of the generator, and the masks against Python sets on a small random trace."""
    words = philox4x32_10((0, 0, 0, 0), (0, 0))
    assert words == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8], [hex(word) for word in words]
    words = philox4x32_10([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2)
    assert words == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD], [hex(word) for word in words]

    rng = np.random.default_rng(1)
    tokens, experts, top_k, depth, capacity = 40, 70, 5, 3, 9
    ids = np.stack([rng.permutation(experts)[:top_k] for _ in range(tokens)])[:, None, :]
    masks, starts = pack(ids, experts)[0], np.arange(tokens - depth)
    popularity = np.bincount(ids.ravel(), minlength=experts)
    resident = set(sorted(range(experts), key=lambda e: (-popularity[e], e))[:capacity])
    got = count_layer(masks, starts, depth, {capacity: resident_mask(popularity, capacity, 2)}, experts)
    sets = [set(row) for row in ids[:, 0].tolist()]
    unions = [[set().union(*sets[s : s + j + 1]) for j in range(depth + 1)] for s in starts]
    assert got["distinct"] == sum(len(u[-1]) for u in unions)
    assert got["accepted_distinct"] == [sum(len(u[j]) for u in unions) for j in range(depth + 1)]
    assert got["hits"]["9"] == sum(len(u[-1] & resident) for u in unions)
    wasted = [sum(len(u[-1] - u[j] - resident) for u in unions) for j in range(depth + 1)]
    assert got["rejected_only"]["9"] == wasted
    assert top_k_of_logits(np.array([[1, 3, 3, 2, 3]], np.float16), 2).tolist() == [[1, 2]]
    print("exhaustive.py: self-test passed")


def numbers(text):
    return [int(part) for part in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trace", nargs="?", help="trace file (HDF5, schema moecarlo-trace)")
    parser.add_argument("--depths", type=numbers, default=[4], help="draft depths, e.g. 0,2,4")
    parser.add_argument("--capacities", type=numbers, default=[8], help="experts resident per layer, e.g. 4,8,16")
    parser.add_argument("--calibration", default="0.2", help='share of sequences that fix popularity, or "all"')
    parser.add_argument("--split-seed", type=int, default=0)
    parser.add_argument("--self-test", action="store_true", help="check the script itself and stop")
    options = parser.parse_args()
    if options.self_test:
        self_test()
        return
    if options.trace is None:
        parser.error("a trace is needed")
    result = enumerate_trace(
        options.trace, options.depths, options.capacities, options.calibration, options.split_seed
    )
    json.dump(result, sys.stdout)
    print()


if __name__ == "__main__":
    main()
