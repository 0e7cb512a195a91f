#!/usr/bin/env python3
"""Imports routing from JSON lines, one record a token and layer.

    import_jsonl.py routing.jsonl -o trace.h5 --model my-model --experts 64

    {"sequence": 0, "token": 0, "layer": 0, "experts": [5, 17], "weights": [0.7, 0.3]}

Optional keys: `weights` (in all records or none), `token_id`, `phase` (0 prefill, 1 decode), `label` (the domain of the
sequence). Records of a sequence stand together; within it any order will do. Every token needs every layer; where token
numbers leave some out, the sequence is cut in two. A misspelt key is refused, another unknown one is noted.
NumPy and h5py only. Exit status: 0 done, 2 wrong usage, 3 the file is refused, 4 the machine failed us.
"""

import argparse
from itertools import groupby
from pathlib import Path

import routertrace  # noqa: F401, first: it says plainly that NumPy is missing
import numpy as np

from routertrace.importing import Piece, add_model_options, write_trace
from routertrace.keys import Notes, check_keys, load_json
from routertrace.refusal import INPUT, Refusal, run

NEEDED = ("sequence", "token", "layer", "experts")
WHOLE = ("token", "layer", "token_id", "phase")  # whole numbers
KNOWN = (*NEEDED, "weights", "token_id", "phase", "label")


def check_record(place, record, notes):
    if not isinstance(record, dict):
        raise Refusal(INPUT, f"{place}: no JSON object")
    check_keys(place, record, KNOWN, notes)
    missing = [key for key in NEEDED if key not in record]
    if missing:
        raise Refusal(INPUT, f"{place}: no key {missing[0]} (expected {', '.join(NEEDED)})")
    if type(record["sequence"]) not in (int, str):
        raise Refusal(INPUT, f"{place}: sequence is {record['sequence']!r} (expected a number or a name)")
    for key in WHOLE:
        if key in record and (type(record[key]) is not int or not 0 <= record[key] < 2**31):
            raise Refusal(INPUT, f"{place}: {key} is {record[key]!r} (expected a whole number, 0 or more)")
    for key, kinds in (("experts", (int,)), ("weights", (int, float))):
        values = record.get(key, [])
        if not isinstance(values, list) or not all(type(value) in kinds for value in values):
            raise Refusal(INPUT, f"{place}: {key} is {values!r} (expected a list of numbers)")
    if "weights" in record and len(record["weights"]) != len(record["experts"]):
        raise Refusal(INPUT, f"{place}: {len(record['weights'])} weights for {len(record['experts'])} experts")


def records(path, notes):
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            place = f"{path}:{number}"
            record = load_json(place, line)
            check_record(place, record, notes)
            yield place, record


class Sequence:
    """The arrays of one sequence, filled record by record."""

    def __init__(self, path, found):
        self.path, self.first = path, found[0][1]
        self.tokens, self.layers = (sorted({record[key] for _, record in found}) for key in ("token", "layer"))
        self.top_k = len(self.first["experts"])
        self.ids = np.full((len(self.tokens), len(self.layers), self.top_k), -1, np.int64)
        self.filled = np.zeros(self.ids.shape[:2], bool)
        self.weights = np.zeros(self.ids.shape, np.float32)
        self.per_token = {name: np.full(len(self.tokens), -1, np.int64) for name in ("token_id", "phase")}
        row, column = ({value: i for i, value in enumerate(values)} for values in (self.tokens, self.layers))
        for place, record in found:
            self._add(place, record, (row[record["token"]], column[record["layer"]]))
        holes = np.argwhere(~self.filled)
        if len(holes):
            token, layer = self.tokens[holes[0][0]], self.layers[holes[0][1]]
            raise Refusal(INPUT, f"{path}: sequence {self.first['sequence']} lacks token {token}, layer {layer}")

    def _add(self, place, record, at):
        if len(record["experts"]) != self.top_k:
            raise Refusal(INPUT, f"{place}: {len(record['experts'])} experts (expected {self.top_k})")
        if self.filled[at]:
            raise Refusal(INPUT, f"{place}: token {record['token']}, layer {record['layer']} comes twice")
        for key in ("weights", "token_id", "phase", "label"):
            if (key in record) != (key in self.first):
                raise Refusal(INPUT, f"{place}: {key} in some records of sequence {self.first['sequence']} (expected "
                                     "in all or none)")
        if record.get("label") != self.first.get("label"):
            raise Refusal(INPUT, f"{place}: label {record['label']!r} (expected {self.first['label']!r}, that of the "
                                 "sequence)")
        self.filled[at] = True
        self.ids[at] = record["experts"]
        if "weights" in record:
            self.weights[at] = record["weights"]
        for name, values in self.per_token.items():
            if name not in record:
                continue
            if values[at[0]] not in (-1, record[name]):
                raise Refusal(INPUT, f"{place}: {name} {record[name]} (expected {values[at[0]]}, as in the token's "
                                     "other layers)")
            values[at[0]] = record[name]

    def piece(self):
        arrays = {"expert_ids": self.ids}
        for name, key, values in (("expert_weights", "weights", self.weights),
                                  ("token_ids", "token_id", self.per_token["token_id"]),
                                  ("phase", "phase", self.per_token["phase"])):
            if key in self.first:
                arrays[name] = values
        return Piece(f"{self.path}: sequence {self.first['sequence']}", arrays, str(self.first.get("label", "")),
                     self.layers, self.tokens)


def pieces(path, notes):
    seen = set()
    for sequence, found in groupby(records(path, notes), key=lambda item: item[1]["sequence"]):
        if sequence in seen:
            raise Refusal(INPUT, f"{path}: records of sequence {sequence} do not stand together")
        seen.add(sequence)
        yield Sequence(path, list(found)).piece()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, metavar="JSONL")
    add_model_options(parser)
    options = parser.parse_args()
    notes = Notes()
    write_trace(options, "import_jsonl.py", lambda: pieces(options.file, notes))


if __name__ == "__main__":
    run(main)
