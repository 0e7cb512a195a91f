#!/usr/bin/python3
"""The reference speed workload in vectorised NumPy on one thread: what a careful analyst's script reaches.

Work: trajectories of 8 rounds over a trace of 4,096 tokens x 48 MoE layers x top-8 of 128 experts; depth 4, constant
acceptance 0.7, rejected columns routed as in the trace, one LRU of 32 experts per layer, cold start. Every pass is
judged against the residents at its start and then touches column 0, 1, .. d, inside a token by descending expert
rank, so that the lowest rank is the most recent. Counted per (round, layer): distinct, accepted distinct, hits,
rejected-only.

One step is one window token at one layer. Masks are packed before the clock starts; each step is then carried out.

Two designs, checked against each other and against an ordered list:
* stamps (default): what one writes first. Boolean arrays [trajectories][layers][experts] for sets, the time of last use
  of every expert, and a partition per pass that keeps the newest as residents.
* masks: the engine's own idea in NumPy. 128-bit sets as two uint64 words, the residents by a walk back over the newest
  token masks, a population count by shifts.
"""

import os

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import json
import sys
import time
from collections import OrderedDict
from pathlib import Path

import numpy as np

LAYERS, EXPERTS, TOP_K, TOKENS = 48, 128, 8, 4096
DEPTH, ROUNDS, CAPACITY, ALPHA = 4, 8, 32, 0.7
METRICS = ("distinct", "accepted_distinct", "hits", "rejected_only")
ONE = np.uint64(1)


def make_ids(rng, tokens, layers, experts, top_k):
    """Synthetic expert ranks [T][L][k]: Zipf-like popularity, and a token resembles the one before it."""
    base = -np.log(np.arange(1, experts + 1, dtype=np.float32))
    ids = np.empty((tokens, layers, top_k), np.int64)
    scores = np.zeros((layers, experts), np.float32)
    for token in range(tokens):
        scores = 0.7 * scores + rng.gumbel(size=(layers, experts)).astype(np.float32)
        ids[token] = np.argpartition(-(base + scores), top_k - 1, axis=1)[:, :top_k]
    return ids


def read_ids(path):
    """Expert ranks [T][L][k] of a top-k trace with one sequence and at most 128 experts."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
    from accepted import open_accepted

    with open_accepted(path) as trace:
        ids, sequences = trace["expert_ids"][:].astype(np.int64), len(trace["sequence_offsets"]) - 1
        experts = int(trace.attrs["num_experts"])
    if sequences != 1 or experts > EXPERTS:
        sys.exit(f"numpy_baseline.py: {path} (expected 1 sequence, at most {EXPERTS} experts; "
                 f"found {sequences} and {experts})")
    for layer in range(ids.shape[1]):
        popularity = np.bincount(ids[:, layer].ravel(), minlength=experts)
        rank = np.empty(experts, np.int64)
        rank[np.argsort(-popularity, kind="stable")] = np.arange(experts)
        ids[:, layer] = rank[ids[:, layer]]
    return ids


def pack(ids):
    """Two word tables [T][L] (low, high) with bit r set for expert rank r < 128."""
    words = []
    for word in range(2):
        bits = np.where(ids // 64 == word, ONE << (ids % 64).astype(np.uint64), np.uint64(0))
        words.append(np.ascontiguousarray(np.bitwise_or.reduce(bits, axis=2)))
    return words


def popcount(low, high):
    """Members of each 128-bit mask; the two words are added at nibble width, so the tail runs once."""
    total = 0
    for word in (low, high):
        word = word - ((word >> ONE) & np.uint64(0x5555555555555555))
        pairs = word & np.uint64(0x3333333333333333)
        total += pairs + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    total = (total & np.uint64(0x0F0F0F0F0F0F0F0F)) + ((total >> np.uint64(4)) & np.uint64(0x0F0F0F0F0F0F0F0F))
    return (total * np.uint64(0x0101010101010101)) >> np.uint64(56)


def union_of(table, columns):
    """OR of the rows `columns` (a list of [trajectories] token indices) of a word table: [trajectories][L]."""
    result = table[columns[0]]
    for column in columns[1:]:
        result |= table[column]
    return result


def lowest(low, high, wanted):
    """The `wanted` lowest members of each mask (1-D arrays; wanted <= members)."""
    rest_low, rest_high = low.copy(), high.copy()
    for taken in range(int(wanted.max(initial=0))):
        more = taken < wanted
        in_low = rest_low != 0
        rest_low = np.where(more, rest_low & (rest_low - ONE), rest_low)
        rest_high = np.where(more & ~in_low, rest_high & (rest_high - ONE), rest_high)
    return low ^ rest_low, high ^ rest_high


def lru_residents(tables, history, newest_pass, columns, capacity):
    """Residents after the tokens `history` ([trajectories] indices, newest first): two words [trajectories][L].

    newest_pass is the union (two words) of the first `columns` tokens of the history.
    """
    layers = tables[0].shape[1]
    flat_tables = [table.reshape(-1) for table in tables]
    count = popcount(*newest_pass)
    fits = count <= capacity
    low, high = (np.where(fits, word, np.uint64(0)).reshape(-1) for word in newest_pass)
    room = (np.uint64(capacity) - np.where(fits, count, np.uint64(0))).reshape(-1)

    def walk(active, tokens):
        """Adds the tokens to the entries `active`, until each is full."""
        for token in tokens:
            if not len(active):
                return
            cell = token[active // layers] * layers + active % layers
            new_low = flat_tables[0][cell] & ~low[active]
            new_high = flat_tables[1][cell] & ~high[active]
            count, left = popcount(new_low, new_high), room[active]
            over = np.flatnonzero(count > left)
            if len(over):
                new_low[over], new_high[over] = lowest(new_low[over], new_high[over], left[over])
            low[active] |= new_low
            high[active] |= new_high
            left -= np.minimum(count, left)
            room[active] = left
            active = active[left > 0]

    walk(np.flatnonzero(~fits), history[:columns])
    walk(np.flatnonzero(room), history[columns:])
    return low.reshape(fits.shape), high.reshape(fits.shape)


def simulate(tables, starts, accepted, depth, capacity):
    """Counts {metric: [rounds][layers]} over all trajectories.

    starts [trajectories]: first token; accepted [trajectories][rounds]: accepted length of each round. A trajectory
    that passes the last eligible start by o places moves to place o.
    """
    tokens, layers = tables[0].shape
    trajectories, rounds = accepted.shape
    counts = {metric: np.zeros((rounds, layers), np.uint64) for metric in METRICS}
    resident = [np.zeros((trajectories, layers), np.uint64) for _ in tables]
    position, history = starts.copy(), []
    for r in range(rounds):
        columns = [position + column for column in range(depth + 1)]
        kept = [position + np.minimum(column, accepted[:, r]) for column in range(depth + 1)]
        union = [union_of(table, columns) for table in tables]
        accepted_union = [union_of(table, kept) for table in tables]
        held = [u & c for u, c in zip(union, resident)]
        wasted = [u & ~(a | c) for u, a, c in zip(union, accepted_union, resident)]
        for metric, masks in zip(METRICS, (union, accepted_union, held, wasted)):
            counts[metric][r] += popcount(*masks).sum(axis=0)
        history = columns[::-1] + history
        if r + 1 < rounds:
            resident = lru_residents(tables, history, union, depth + 1, capacity)
        position = (position + accepted[:, r] + 1) % (tokens - depth)
    return counts


def simulate_stamps(ids, starts, accepted, depth, capacity, experts):
    """The same counts from boolean sets and times of last use; ids [T][L][k], inside a token by descending rank."""
    tokens, layers, top_k = ids.shape
    trajectories, rounds = accepted.shape
    counts = {metric: np.zeros((rounds, layers), np.uint64) for metric in METRICS}
    resident = np.zeros((trajectories, layers, experts), bool)
    last_use = np.zeros((trajectories, layers, experts), np.int32)
    position, clock = starts.copy(), 1
    for r in range(rounds):
        union, kept = np.zeros_like(resident), np.zeros_like(resident)
        for column in range(depth + 1):
            chosen = ids[position + column]
            np.put_along_axis(union, chosen, True, axis=2)
            np.put_along_axis(kept, ids[position + np.minimum(column, accepted[:, r])], True, axis=2)
            np.put_along_axis(last_use, chosen, np.arange(clock, clock + top_k, dtype=np.int32), axis=2)
            clock += top_k
        for metric, sets in zip(METRICS, (union, kept, union & resident, union & ~kept & ~resident)):
            counts[metric][r] += sets.sum(axis=(0, 2), dtype=np.uint64)
        if r + 1 < rounds:
            oldest = np.partition(last_use, experts - capacity, axis=2)[:, :, experts - capacity, None]
            resident = (last_use >= oldest) & (last_use > 0)
        position = (position + accepted[:, r] + 1) % (tokens - depth)
    return counts


def draw(rng, trajectories, tokens, rounds, depth, alpha):
    """Uniform starts, and accepted lengths that stop at the first rejection."""
    starts = rng.integers(0, tokens - depth, trajectories)
    accepts = rng.random((trajectories, rounds, depth)) < alpha
    return starts, np.logical_and.accumulate(accepts, axis=2).sum(axis=2)


def simulate_slowly(ids, starts, accepted, depth, capacity):
    """The same counts from an ordered list per layer, one look-up at a time."""
    tokens, layers, _ = ids.shape
    trajectories, rounds = accepted.shape
    counts = {metric: np.zeros((rounds, layers), np.uint64) for metric in METRICS}
    for t in range(trajectories):
        caches = [OrderedDict() for _ in range(layers)]
        position = int(starts[t])
        for r in range(rounds):
            length = int(accepted[t, r])
            for layer, cache in enumerate(caches):
                window = [sorted(ids[position + column, layer].tolist(), reverse=True) for column in range(depth + 1)]
                union, kept = set().union(*window), set().union(*window[: length + 1])
                sizes = (len(union), len(kept), len(union & set(cache)), len(union - kept - set(cache)))
                for metric, size in zip(METRICS, sizes):
                    counts[metric][r, layer] += np.uint64(size)
                for expert in (expert for token in window for expert in token):
                    cache[expert] = None
                    cache.move_to_end(expert)
                while len(cache) > capacity:
                    cache.popitem(last=False)
            position = (position + length + 1) % (tokens - depth)
    return counts


def self_test():
    rng = np.random.default_rng(1)
    cases = [(128, 8, 4, 32), (128, 8, 4, 20), (128, 8, 2, 100)]
    cases += [(16, 4, 0, 6), (16, 4, 2, 3), (70, 6, 3, 64), (9, 3, 1, 9)]
    for experts, top_k, depth, capacity in cases:
        ids = make_ids(rng, 50, 3, experts, top_k)
        starts, accepted = draw(rng, 20, 50, 8, depth, ALPHA)
        fast = simulate(pack(ids), starts, accepted, depth, capacity)
        slow = simulate_slowly(ids, starts, accepted, depth, capacity)
        stamps = simulate_stamps(descending(ids), starts, accepted, depth, capacity, experts)
        for metric in METRICS:
            assert (fast[metric] == slow[metric]).all(), ("masks", metric, experts, top_k, depth, capacity)
            assert (stamps[metric] == slow[metric]).all(), ("stamps", metric, experts, top_k, depth, capacity)
    print("numpy_baseline.py: self-test passed")


def descending(ids):
    return -np.sort(-ids, axis=2)


def measure(ids, design, seconds, block):
    """Simulates whole blocks of trajectories for at least `seconds` and states the rate."""
    rng = np.random.default_rng(1)
    tokens, layers, top_k = ids.shape
    tables, ordered = pack(ids), descending(ids)
    totals, trajectories, spent = dict.fromkeys(METRICS, 0), 0, 0.0
    while spent < seconds:
        begin = time.perf_counter()
        starts, accepted = draw(rng, block, tokens, ROUNDS, DEPTH, ALPHA)
        if design == "masks":
            counts = simulate(tables, starts, accepted, DEPTH, CAPACITY)
        else:
            counts = simulate_stamps(ordered, starts, accepted, DEPTH, CAPACITY, EXPERTS)
        spent += time.perf_counter() - begin
        trajectories += block
        for metric in METRICS:
            totals[metric] += int(counts[metric].sum())
    passes = trajectories * ROUNDS * layers
    return {
        "workload": {"layers": layers, "top_k": top_k, "tokens": tokens, "depth": DEPTH, "rounds": ROUNDS,
                     "capacity": CAPACITY, "alpha": ALPHA, "policy": "lru", "start": "cold"},
        "design": design,
        "numpy": np.__version__,
        "threads": 1,
        "trajectories": trajectories,
        "seconds": spent,
        "steps_per_second": passes * (DEPTH + 1) / spent,
        "means": {metric: total / passes for metric, total in totals.items()},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trace", help="take the routing from this file (one sequence) instead of a synthetic one")
    parser.add_argument("--seconds", type=float, default=5, help="how long to measure")
    parser.add_argument("--design", choices=("stamps", "masks"), default="stamps", help="how sets and recency are held")
    parser.add_argument("--block", type=int, help="trajectories advanced together (default: the fastest of each design)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--self-test", action="store_true", help="compare with a slow ordered-list LRU and stop")
    options = parser.parse_args()
    if options.self_test:
        self_test()
        return
    rng = np.random.default_rng(1)
    ids = read_ids(options.trace) if options.trace else make_ids(rng, TOKENS, LAYERS, EXPERTS, TOP_K)
    block = options.block or {"masks": 1024, "stamps": 128}[options.design]
    result = measure(ids, options.design, options.seconds, block)
    if options.json:
        print(json.dumps(result))
    else:
        print(f"{result['steps_per_second'] / 1e6:.2f} M token-layer steps/s ({options.design}), NumPy {result['numpy']}, "
              "one thread")


if __name__ == "__main__":
    main()
