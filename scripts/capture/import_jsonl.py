#!/usr/bin/env python3
"""Imports routing from JSON lines, one record a token and layer.

    import_jsonl.py routing.jsonl -o trace.h5 --model my-model --experts 64

    {"sequence": 0, "token": 0, "layer": 0, "experts": [5, 17], "weights": [0.7, 0.3]}

Optional keys: `weights` (in all records or none), `token_id`, `phase` (0 prefill, 1 decode). Records of a sequence
stand together; within it any order will do. Every token needs every layer. NumPy and h5py only.
Exit status: 0 done, 2 wrong usage, 3 the file is refused, 4 the machine failed us.
"""

import argparse
import json
from itertools import groupby
from pathlib import Path

import numpy as np

from routertrace.importing import add_model_options, check_ids, describe
from routertrace.refusal import INPUT, Refusal, run
from routertrace.trace_file import TraceWriter, id_type

NEEDED = ("sequence", "token", "layer", "experts")


def records(path):
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                missing = [key for key in NEEDED if key not in record]
            except (ValueError, TypeError) as error:
                raise Refusal(INPUT, f"{path}:{number}: no JSON object ({error})") from None
            if missing:
                raise Refusal(INPUT, f"{path}:{number}: no key {missing[0]} (expected {', '.join(NEEDED)})")
            yield number, record


def arrays(path, found):
    """The arrays of one sequence from its (line number, record) pairs."""
    tokens, layers = (sorted({record[key] for _, record in found}) for key in ("token", "layer"))
    top_k = len(found[0][1]["experts"])
    row, column = ({value: i for i, value in enumerate(values)} for values in (tokens, layers))
    ids = np.full((len(tokens), len(layers), top_k), -1, np.int32)
    weights = np.zeros(ids.shape, np.float32)
    per_token = {name: np.zeros(len(tokens), kind) for name, kind in (("token_id", np.int32), ("phase", np.uint8))}
    for number, record in found:
        place = row[record["token"]], column[record["layer"]]
        if len(record["experts"]) != top_k:
            raise Refusal(INPUT, f"{path}:{number}: {len(record['experts'])} experts (expected {top_k})")
        if ids[place][0] != -1:
            raise Refusal(INPUT, f"{path}:{number}: token {record['token']}, layer {record['layer']} comes twice")
        ids[place] = record["experts"]
        if "weights" in record:
            weights[place] = record["weights"]
        for name in per_token:
            per_token[name][place[0]] = record.get(name, 0)
    holes = np.argwhere(ids[..., 0] == -1)
    if len(holes):
        token, layer = tokens[holes[0][0]], layers[holes[0][1]]
        raise Refusal(INPUT, f"{path}: sequence {found[0][1]['sequence']} lacks token {token}, layer {layer}")
    first = found[0][1]
    return layers, {"expert_ids": ids, "expert_weights": weights if "weights" in first else None,
                    "token_ids": per_token["token_id"] if "token_id" in first else None,
                    "phase": per_token["phase"] if "phase" in first else None}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, metavar="JSONL")
    add_model_options(parser)
    options = parser.parse_args()
    trace, seen, known = None, set(), None
    groups = groupby(records(options.file), key=lambda item: item[1]["sequence"])
    try:
        for sequence, found in groups:
            if sequence in seen:
                raise Refusal(INPUT, f"{options.file}: records of sequence {sequence} do not stand together")
            seen.add(sequence)
            layers, parts = arrays(options.file, list(found))
            if trace is None:
                description = describe(options, parts["expert_ids"], "import_jsonl.py")
                description.layer_numbers = known = layers
                trace = TraceWriter(options.output, description)
            if layers != known:
                raise Refusal(INPUT, f"{options.file}: sequence {sequence} has layers {layers} (expected {known})")
            check_ids(f"{options.file}: sequence {sequence}", parts["expert_ids"], description.rule)
            parts["expert_ids"] = parts["expert_ids"].astype(id_type(description.rule.experts))
            trace.append(str(sequence), **parts)
        if trace is None:
            raise Refusal(INPUT, f"{options.file}: no records")
        trace.close()
    finally:
        if trace is not None:
            trace.discard()


if __name__ == "__main__":
    run(main)
