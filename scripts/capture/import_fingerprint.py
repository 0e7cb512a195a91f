#!/usr/bin/env python3
"""Imports the JSON layout of the GPT-OSS expert fingerprints: chosen experts and their probabilities per token.

    import_fingerprint.py fingerprint1.json fingerprint2.json -o trace.h5 --model gpt-oss-20b --experts 32

A file is one sequence, or a list of sequences. A sequence is a list of tokens, or an object that holds one (the first
list of token records in it is taken). A token record has `layers` (or `layer_data`, `experts`): a list, or an object
keyed by layer ("0" or "layer_0"), of
  {"selected_experts": [5, 17, 2, 30], "selected_probs": [0.4, 0.3, 0.2, 0.1]}
or `selected_experts` itself as [layers][k], with `selected_probs` alike. An optional `token_id` is kept.
NumPy and h5py only. Exit status: 0 done, 2 wrong usage, 3 a file is refused, 4 the machine failed us.
"""

import argparse
import json
import re
from pathlib import Path

import numpy as np

from routertrace.importing import add_model_options, check_ids, describe
from routertrace.progress import Progress
from routertrace.refusal import INPUT, Refusal, run
from routertrace.trace_file import TraceWriter, id_type

HOLDERS = ("layers", "layer_data", "experts", "router_data")


def is_token(value):
    return isinstance(value, dict) and (
        "selected_experts" in value
        or any(
            isinstance(value.get(holder), (list, dict))
            and value[holder]
            and "selected_experts" in str(value[holder])[:2000]
            for holder in HOLDERS
        )
    )


def token_lists(value):
    """All lists of token records in a JSON value, in order."""
    if isinstance(value, list):
        if value and all(map(is_token, value)):
            yield value
            return
        children = value
    else:
        children = value.values() if isinstance(value, dict) else []
    for child in children:
        if isinstance(child, (list, dict)):
            yield from token_lists(child)


def layer_number(key):
    digits = re.findall(r"\d+", str(key))
    if not digits:
        raise ValueError(f"layer {key!r} has no number")
    return int(digits[-1])


def layers_of(token):
    """(experts, probabilities or None) of every layer of a token record."""
    holder = next((token[h] for h in HOLDERS if isinstance(token.get(h), (list, dict))), None)
    if holder is None:
        probabilities = token.get("selected_probs")
        return [(experts, probabilities[i] if probabilities else None)
                for i, experts in enumerate(token["selected_experts"])]
    if isinstance(holder, dict):
        holder = [holder[key] for key in sorted(holder, key=layer_number)]
    elif all("layer" in record for record in holder):
        holder = sorted(holder, key=lambda record: layer_number(record["layer"]))
    return [(record["selected_experts"], record.get("selected_probs")) for record in holder]


def arrays(place, tokens):
    try:
        rows = [layers_of(token) for token in tokens]
        ids = np.array([[experts for experts, _ in row] for row in rows], np.int32)
        known = all(probabilities is not None for row in rows for _, probabilities in row)
        weights = np.array([[p for _, p in row] for row in rows], np.float32) if known else None
    except (KeyError, TypeError, ValueError) as error:
        raise Refusal(INPUT, f"{place}: tokens or layers differ in shape ({error})") from None
    if weights is not None and weights.shape != ids.shape:
        raise Refusal(INPUT, f"{place}: selected_probs has shape {list(weights.shape)} (expected {list(ids.shape)})")
    token_ids = [token.get("token_id") for token in tokens]
    return {"expert_ids": ids, "expert_weights": weights,
            "token_ids": np.int32(token_ids) if all(isinstance(t, int) for t in token_ids) else None}


def sequences(path):
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Refusal(INPUT, f"{path}: no JSON ({error})") from None
    found = list(token_lists(value))
    if not found:
        raise Refusal(INPUT, f"{path}: no token records (expected lists of objects with selected_experts)")
    for number, tokens in enumerate(found):
        yield f"{path.stem}.{number}", arrays(f"{path}: sequence {number}", tokens)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="JSON")
    add_model_options(parser)
    options = parser.parse_args()
    description = describe(options, next(sequences(options.files[0]))[1]["expert_ids"], "import_fingerprint.py")
    progress = Progress("files", len(options.files))
    with TraceWriter(options.output, description) as trace:
        for path in options.files:
            for label, parts in sequences(path):
                check_ids(f"{path}: {label}", parts["expert_ids"], description.rule)
                parts["expert_ids"] = parts["expert_ids"].astype(id_type(description.rule.experts))
                trace.append(label, **parts)
            progress.advance()
    progress.close()


if __name__ == "__main__":
    run(main)
