"""RTRACE01: 16 bytes (magic, int32 experts, int32 version 0), then int32 token, int32 layer, float32[experts] each, in
any order: softmax probabilities over all experts. The logarithm of a softmax is a row of logits with that softmax."""

import numpy as np

from .importing import Piece
from .refusal import INPUT, USAGE, Refusal
from .selection import Rule, select

MAGIC = b"RTRACE01"
SUM_ERROR = 1e-2  # of the probabilities of a row: bfloat16 of a few large ones
BELOW = np.float32(np.log(2.0 ** -150))  # what float32 rounds to 0 is less than this


def _records(path, data):
    if len(data) < 16:
        raise Refusal(INPUT, f"{path}: cut off in its header (found {len(data)} bytes)")
    experts, version = np.frombuffer(data, "<i4", 2, 8).tolist()
    if not 1 <= experts <= 1024 or version != 0:
        raise Refusal(INPUT, f"{path}: {experts} experts, version {version} (expected 1 to 1024, version 0)")
    record = np.dtype([("token", "<i4"), ("layer", "<i4"), ("probabilities", "<f4", experts)])
    if len(data) == 16 or (len(data) - 16) % record.itemsize:
        raise Refusal(INPUT, f"{path}: damaged or cut off ({len(data) - 16} bytes of records, expected a multiple of "
                             f"{record.itemsize})")
    return np.frombuffer(data, record, offset=16)


def _checked(path, records):
    for name in ("token", "layer"):
        if (records[name] < 0).any():
            raise Refusal(INPUT, f"{path}: {name} {records[name].min()} (expected 0 or more)")
    values = records["probabilities"].astype(np.float64)
    if not np.isfinite(values).all() or (values < 0).any():
        raise Refusal(INPUT, f"{path}: a probability that is NaN, infinite or below 0")
    wrong = np.abs(values.sum(1) - 1) > SUM_ERROR
    if wrong.any():
        first = records[wrong][0]
        raise Refusal(INPUT, f"{path}: token {first['token']}, layer {first['layer']}: probabilities with the sum "
                             f"{values[wrong][0].sum():.6g} (expected 1, a softmax over all experts; scores of a sigmoid "
                             "router are none)")


def pieces(path, data, options, notes):
    """The sequence of a file. A trace has every layer of a token: tokens that lack one are cut."""
    records = _records(path, data)
    _checked(path, records)
    if options.scoring == "sigmoid":
        raise Refusal(USAGE, f"{path}: --scoring sigmoid (expected softmax or topk_softmax: RTRACE01 holds softmax "
                             "probabilities)")
    layers = np.unique(records["layer"])
    if len(layers) > 1024:
        raise Refusal(INPUT, f"{path}: {len(layers)} layers (expected 1024 at most)")
    place = records["token"].astype(np.int64) * len(layers) + np.searchsorted(layers, records["layer"])
    places, from_end = np.unique(place[::-1], return_index=True)  # of duplicates the last one holds
    tokens, first, held = np.unique(places // len(layers), return_index=True, return_counts=True)
    whole = held == len(layers)
    if not whole.any():
        raise Refusal(INPUT, f"{path}: no token has all {len(layers)} layers (expected a record of each)")
    if len(records) > len(places):
        notes.say(f"{path}: {len(records) - len(places)} records that a later one replaces")
    if not whole.all():
        notes.say(f"{path}: {(~whole).sum()} of {len(tokens)} tokens cut: they lack a layer that others have")
    last = (len(records) - 1 - from_end)[first[whole][:, None] + np.arange(len(layers))]
    tokens = tokens[whole]
    probabilities = records["probabilities"][last]
    least = np.sort(probabilities, -1)[..., -(options.top_k or 1)]
    if options.top_k is not None and options.top_k <= probabilities.shape[-1] and (least == 0).any():
        at = np.argwhere(least == 0)[0]
        raise Refusal(INPUT, f"{path}: token {tokens[at[0]]}, layer {layers[at[1]]}: fewer than {options.top_k} "
                             "probabilities above 0 (expected as many as experts are chosen)")
    with np.errstate(divide="ignore"):
        arrays = {"router_logits": np.maximum(np.log(probabilities.astype(np.float64)), BELOW).astype(np.float32)}
    if options.top_k is not None and options.groups == 1 and options.selection_bias is None:
        # The logarithm may round two probabilities to one logit: what was chosen decides.
        arrays["expert_ids"] = select(Rule("topk_softmax", top_k=options.top_k), probabilities)
    yield Piece(str(path), arrays, layers=layers.tolist(), positions=tokens)
