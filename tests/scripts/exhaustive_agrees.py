#!/usr/bin/env python3
"""Exhaustive mode of the program equals scripts/cross_check/exhaustive.py. Usage: exhaustive_agrees.py MOECARLO

The trace is written here with h5py: 12 sequences of unequal length with some prefill tokens, 70 experts (two mask
words), skewed popularity. The integers of the NumPy side are weighted with P(accepted length = j) and compared with
summary.json.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts/cross_check"))
from exhaustive import enumerate_trace

DEPTHS, CAPACITIES, SHARE, SPLIT_SEED, ALPHA = [0, 1, 3], [1, 9, 64, 70], 0.3, 7, 0.6
TOLERANCE = 1e-9  # acceptance thresholds have 32 bits

STUDY = f"""
[study]
name = "exhaustive"
trace = "trace.h5"
mode = "exhaustive"
calibration = {SHARE}
split_seed = {SPLIT_SEED}

[grid]
depth = {DEPTHS}
policy = ["static"]
capacity = {CAPACITIES}

[acceptance]
model = "constant"
alpha = {ALPHA}
"""


def write_trace(path):
    rng = np.random.default_rng(5)
    lengths, layers, experts, top_k = [1, 2, 3, 4, 9, 17, 30, 5, 2, 41, 8, 23], 3, 70, 6
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    rank = rng.permuted(np.tile(np.arange(1, experts + 1), (layers, 1)), axis=1)
    scores = rng.gumbel(size=(offsets[-1], layers, experts)) - 1.5 * np.log(rank)
    phase = (rng.random(offsets[-1]) < 0.9).astype(np.uint8)
    phase[0] = 0  # the first sequence has no decode token at all
    with h5py.File(path, "w") as trace:
        trace.attrs.update(schema="moecarlo-trace", schema_version=1, model="random", num_experts=experts, top_k=top_k,
                           num_shared_experts=0, scoring="softmax", renormalize=True)
        trace["expert_ids"] = np.argsort(-scores, axis=2)[:, :, :top_k].astype(np.uint8)
        trace["sequence_offsets"] = offsets.astype(np.int64)
        trace["phase"] = phase


def expected_metrics(counted, capacity):
    """The program's metrics from the integers: rows of one depth, summed over layers, accepted lengths weighted."""
    depth, rows, name = counted["depth"], counted["layers"], str(capacity)
    weights = [ALPHA**j * (1 - ALPHA) for j in range(depth)] + [ALPHA**depth]
    passes = sum(row["passes"] for row in rows)

    def weighted(lists):
        return sum(weight * sum(row[j] for row in lists) for j, weight in enumerate(weights)) / passes

    distinct, hits = sum(row["distinct"] for row in rows), sum(row["hits"][name] for row in rows)
    accepted = sum(j * weight for j, weight in enumerate(weights))
    return {
        "tokens_per_round": accepted + 1,
        "accepted_length": accepted,
        "distinct_experts": distinct / passes,
        "distinct_experts_accepted": weighted([row["accepted_distinct"] for row in rows]),
        "hits": hits / passes,
        "misses": (distinct - hits) / passes,
        "hit_rate": hits / distinct,
        "rejected_only": weighted([row["rejected_only"][name] for row in rows]),
    }


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_trace(folder / "trace.h5")
        (folder / "study.toml").write_text(STUDY)
        command = [sys.argv[1], "--quiet", "simulate", str(folder / "study.toml"), "-o", str(folder / "out")]
        subprocess.run(command, check=True)
        points = json.loads((folder / "out/summary.json").read_text())["points"]
        expected = enumerate_trace(folder / "trace.h5", DEPTHS, CAPACITIES, SHARE, SPLIT_SEED)
    found = {(point["depth"], point["capacity"]): point["metrics"] for point in points}
    problems, compared = [], 0
    for counted in expected["depths"]:
        for capacity in CAPACITIES:
            metrics = found[counted["depth"], capacity]
            for metric, value in expected_metrics(counted, capacity).items():
                compared += 1
                if abs(metrics[metric]["value"] - value) > TOLERANCE * max(1.0, abs(value)):
                    problems.append(f"depth {counted['depth']}, capacity {capacity}: {metric} is "
                                    f"{metrics[metric]['value']}, expected {value}")
    print("\n".join(problems) or f"exhaustive mode: {compared} figures agree with NumPy")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
