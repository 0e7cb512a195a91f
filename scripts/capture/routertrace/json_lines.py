"""JSON lines of this project's own, one record a token and layer:

    {"sequence": 0, "token": 0, "layer": 0, "experts": [5, 17], "weights": [0.7, 0.3]}

Optional keys: `weights` (in all records or none), `token_id`, `phase` (0 prefill, 1 decode), `label` (the domain of the
sequence). Records of a sequence stand together; within it any order will do. Every token needs every layer; where token
numbers leave some out, the sequence is cut in two.
"""

from itertools import groupby

from .keys import check_keys, load_json
from .records import Sequence
from .refusal import INPUT, Refusal

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


def pieces(path, notes):
    seen = set()
    for sequence, found in groupby(records(path, notes), key=lambda item: item[1]["sequence"]):
        if sequence in seen:
            raise Refusal(INPUT, f"{path}: records of sequence {sequence} do not stand together")
        seen.add(sequence)
        yield Sequence(path, list(found)).piece()
