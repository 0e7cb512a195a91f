"""The JSON layout of the GPT-OSS expert fingerprints: chosen experts and their probabilities per token.

A file is one sequence, or a list of sequences. A sequence is a list of tokens, or an object that holds one (the first
list of token records in it is taken). A token record has `layers` (or `layer_data`, `experts`): a list, or an object
keyed by layer ("0" or "layer_0"), of
  {"selected_experts": [5, 17, 2, 30], "selected_probs": [0.4, 0.3, 0.2, 0.1]}
or `selected_experts` itself as [layers][k], with `selected_probs` alike. An optional `token_id` is kept.
"""

import re

import numpy as np

from .importing import Piece
from .keys import check_keys, refuse_misspelt
from .refusal import INPUT, Refusal

HOLDERS = ("layers", "layer_data", "experts", "router_data")
CHOICES = ("selected_experts", "selected_probs")


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


def token_lists(place, value):
    """All lists of token records in a JSON value, in order."""
    if isinstance(value, list):
        tokens = sum(map(is_token, value))
        if tokens not in (0, len(value)):
            raise Refusal(INPUT, f"{place}: a list in which {tokens} of {len(value)} records have selected_experts "
                                 "(expected all or none)")
        if tokens:
            yield value
            return
        children = value
    else:
        refuse_misspelt(place, value, CHOICES)
        children = value.values()
    for child in children:
        if isinstance(child, (list, dict)):
            yield from token_lists(place, child)


def layer_number(key):
    digits = re.findall(r"\d+", str(key))
    if not digits:
        raise ValueError(f"layer {key!r} has no number")
    return int(digits[-1])


def layers_of(place, token, notes):
    """{layer number: (experts, probabilities or None)} of a token record."""
    held = [h for h in (*HOLDERS, "selected_experts") if isinstance(token.get(h), (list, dict))]
    if len(held) != 1:
        raise Refusal(INPUT, f"{place}: {' and '.join(held) or 'nothing'} in one token (expected its layers once)")
    check_keys(place, token, (*CHOICES, "token_id") if held == ["selected_experts"] else (*held, "token_id"), notes)
    holder = token[held[0]]
    if held == ["selected_experts"]:
        probabilities = token.get("selected_probs")
        return {i: (experts, probabilities[i] if probabilities else None) for i, experts in enumerate(holder)}
    if isinstance(holder, dict):
        records = [(layer_number(key), record) for key, record in holder.items()]
    else:
        numbered = sum("layer" in record for record in holder)
        if numbered not in (0, len(holder)):
            raise Refusal(INPUT, f"{place}: some layers have a number (expected all or none)")
        records = [(layer_number(record["layer"]) if numbered else i, record) for i, record in enumerate(holder)]
    found = {}
    for number, record in records:
        check_keys(place, record, (*CHOICES, "layer"), notes)
        if number in found or layer_number(record.get("layer", number)) != number:
            raise Refusal(INPUT, f"{place}: layer {number} comes twice, or under another number")
        found[number] = (record["selected_experts"], record.get("selected_probs"))
    return dict(sorted(found.items()))


def piece(place, tokens, notes):
    try:
        rows = [layers_of(place, token, notes) for token in tokens]
        layers = list(rows[0])
        if any(list(row) != layers for row in rows):
            raise ValueError("layers have other numbers")
        ids = np.array([[experts for experts, _ in row.values()] for row in rows])
        known = sum(probabilities is not None for row in rows for _, probabilities in row.values())
        if known not in (0, len(rows) * len(layers)):
            raise Refusal(INPUT, f"{place}: selected_probs in some layers (expected in all or none)")
        weights = np.array([[p for _, p in row.values()] for row in rows], np.float32) if known else None
        if ids.dtype.kind != "i":
            raise ValueError(f"experts are {ids.dtype}")
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise Refusal(INPUT, f"{place}: tokens or layers differ in shape ({error})") from None
    arrays = {"expert_ids": ids}
    if weights is not None:
        arrays["expert_weights"] = weights
    token_ids = [token["token_id"] for token in tokens if "token_id" in token]
    if token_ids and (len(token_ids) != len(tokens) or not all(type(token) is int for token in token_ids)):
        raise Refusal(INPUT, f"{place}: token_id in some tokens, or no whole number (expected one in all or none)")
    if token_ids:
        arrays["token_ids"] = np.array(token_ids)
    return Piece(place, arrays, "", layers)


def pieces(path, value, notes):
    found = list(token_lists(path, value)) if isinstance(value, (list, dict)) else []
    if not found:
        raise Refusal(INPUT, f"{path}: no token records (expected lists of objects with "
                             "selected_experts, or another layout of --help)")
    for number, tokens in enumerate(found):
        yield piece(f"{path}: sequence {number}", tokens, notes)
