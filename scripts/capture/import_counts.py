#!/usr/bin/env python3
"""Imports tokens per expert and layer, where a file has counts and no routing, as a table of loads.

    import_counts.py imatrix.gguf -o loads.csv
    import_counts.py expert_distribution_rank0.pt expert_distribution_rank1.pt -o loads.csv

The layout is seen from the content:
  SGLang's recorder    .pt of modes stat (logical_count, summed over passes) and per_pass (physical counts of each pass,
                       mapped to logical experts by the file's last map)
  llama.cpp imatrix    .gguf: counts of blk.N.ffn_{gate,up,down}_exps.weight, which have to agree
  EPLB                 .json {"logical_count": [layers, experts] or [passes, layers, experts]}; .npy or .pt with such an
                       array
Several files, such as those of several ranks, are added up. The table is CSV: a line `layer,0,1,...,E-1`, then a row a
layer, its number and the tokens of each expert. NumPy only.
Exit status: 0 done, 2 wrong usage, 3 a file is refused, 4 the machine failed us.
"""

import argparse
import os
from pathlib import Path

import routertrace  # noqa: F401, first: it says plainly that NumPy is missing
import numpy as np

from routertrace import counts, gguf_file, kinds, torch_file
from routertrace.keys import Notes, load_json
from routertrace.refusal import INPUT, Refusal, array_file, run
from routertrace.trace_file import replace


def read(path, notes):
    """{layer: int64 [experts]} of a file."""
    kinds.check(path, kinds.COUNTS)
    with open(path, "rb") as file:
        head = file.read(8)
    if head.startswith(gguf_file.MAGIC):
        return counts.of_importance_matrix(path, notes)
    if head.startswith(kinds.ZIP):
        return counts.of_recorder(path, torch_file.load(path), notes)
    if head.startswith(kinds.ARRAY):
        with array_file(path):
            return counts.of_array(path, np.load(path, allow_pickle=False), notes)
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if text.lstrip()[:1] != "{":
        raise Refusal(INPUT, f"{path}: no layout that is known (expected .pt, .gguf, .npy or JSON with logical_count; a "
                             "legacy imatrix.dat has no counts)")
    return counts.of_json(path, load_json(path, text), notes)


def write(path, table):
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    experts = len(next(iter(table.values())))
    lines = [["layer", *range(experts)], *([layer, *row.tolist()] for layer, row in sorted(table.items()))]
    try:
        temporary.write_text("".join(",".join(map(str, line)) + "\n" for line in lines))
        replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="LOADS")
    options = parser.parse_args()
    notes, total, first = Notes(), None, None
    for path in options.files:
        found = read(path, notes)
        counts.check(path, found)
        if total is None:
            total, first = found, path
            continue
        shapes = [(sorted(table), len(next(iter(table.values())))) for table in (found, total)]
        if shapes[0] != shapes[1]:
            raise Refusal(INPUT, f"{path}: layers {shapes[0][0]}, {shapes[0][1]} experts (expected {shapes[1][0]}, "
                                 f"{shapes[1][1]}, those of {first})")
        total = {layer: total[layer] + row for layer, row in found.items()}
    write(options.output, total)


if __name__ == "__main__":
    run(main)
