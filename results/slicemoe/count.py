#!/usr/bin/env python3
"""Counts what slices of experts save a cache, on stand-in traces: misses of whole experts and of slices at equal bytes.

    results/slicemoe/count.py [--program build/cpu/moecarlo] [--traces FOLDER] [--work out/slicemoe]

Each trace is replayed front to back, token by token, through an LRU cache of 0.22 of the experts (SliceMoE's 2.4 GB of
DeepSeek-V2-Lite in 6 bits), then through one of twice as many slices of half the size, where choices with a large gate ask
for both slices: the gate of THETAS at which nearest to one of six do, as the paper's 0 to 2 of 6. Writes counts.csv beside
this file; replays are exact.
"""

import argparse
import csv
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "scripts/lib"))
from studies import simulated  # noqa: E402

SHARE, BOTH = 0.22, 1 / 6
THETAS = [0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8]
TRACES = {"reference": ROOT / "datasets/reference.h5", "gpt-oss": "gptoss20b.h5", "flame": "flame290m.h5"}
COLUMNS = ["trace", "capacity", "theta", "whole_misses", "slice_requests", "slice_misses"]


def replay(arguments, trace, capacity, tables):
    """Metrics of a replay without drafts, one of each design point."""
    summary = simulated(arguments.program.resolve(), {
        "study": {"trace": str(trace), "mode": "replay", "start": "cold", "calibration": "all"},
        "grid": {"batch": [1], "depth": [0], "policy": ["lru"], "capacity": [capacity],
                 **({"bits": [4]} if "cache" in tables else {})},
        "acceptance": {"alpha": 0.5}, **tables}, arguments.work / "run")
    return summary["trace"], [{name: metric["value"] for name, metric in point["metrics"].items()}
                              for point in summary["points"]]


def count(arguments, name, trace):
    """Per choice of a token: experts missed; slices asked for and missed."""
    info, _ = replay(arguments, trace, 1, {})
    capacity = round(SHARE * info["experts"])
    _, (whole,) = replay(arguments, trace, capacity, {})
    _, points = replay(arguments, trace, 2 * capacity,
                       {"cache": {"objects": "slices"}, "demand": {"rule": "slices", "theta": THETAS}})
    top_k = info["top_k"]
    theta, slices = min(zip(THETAS, points, strict=True),
                        key=lambda pair: abs(pair[1]["distinct_experts"] / top_k - 1 - BOTH))
    return dict(trace=name, capacity=capacity, theta=theta, whole_misses=whole["misses"] / top_k,
                slice_requests=slices["distinct_experts"] / top_k, slice_misses=slices["misses"] / top_k)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=ROOT / "build/cpu/moecarlo")
    parser.add_argument("--traces", type=Path, default=ROOT / "traces")
    parser.add_argument("--work", type=Path, default=ROOT / "out/slicemoe")
    arguments = parser.parse_args()
    arguments.work = arguments.work.resolve()
    arguments.work.mkdir(parents=True, exist_ok=True)
    with open(HERE / "counts.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for name, trace in TRACES.items():
            trace = (arguments.traces / trace).resolve()
            if not trace.exists():
                print(f"{trace}: not there, left out")
                continue
            row = count(arguments, name, trace)
            writer.writerow({key: f"{value:.4g}" if isinstance(value, float) else value for key, value in row.items()})
            print(row)


if __name__ == "__main__":
    main()
