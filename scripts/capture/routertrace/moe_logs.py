"""Routing logs of llama.cpp forks (moe-trace, as CSV and MOETRC01) and of moe-cache-lab, as records a token and layer."""

import json
import struct

import numpy as np

from .keys import check_keys
from .records import Sequence
from .refusal import INPUT, USAGE, Refusal

HEADER = ["phase", "token", "layer", "rank", "expert"]
PHASES = {"prefill": 0, "prompt": 0, "decode": 1, "generated": 1}
STRIDED = ("this layout is known from builds that misread the router's output: of a prompt's rows, those after the first "
           "of each micro-batch may be wrong")
LAB = ("record_type", "layer", "phase", "selected_experts", "selected_probabilities", "token_position")


def from_records(path, records):
    """The Piece of (place, record) pairs; all of them are one sequence."""
    found = [(place, {"sequence": path.name, **record}) for place, record in records]
    if not found:
        raise Refusal(INPUT, f"{path}: no routing in it")
    return Sequence(path, found).piece()


def _numbers(place, words):
    try:
        return [int(word) for word in words]
    except ValueError:
        raise Refusal(INPUT, f"{place}: {','.join(words)[:80]!r} (expected whole numbers)") from None


def comma_separated(path, text, top_k, notes):
    rows = [(f"{path}:{i}", line.split(",")) for i, line in enumerate(text.splitlines(), 1) if line.strip()]
    if rows and [word.strip() for word in rows[0][1]] == HEADER:
        return _by_rank(rows[1:])
    widths = {len(words) for _, words in rows}
    if len(widths) != 1 or widths.pop() < 2:
        raise Refusal(INPUT, f"{path}: no layout that is known (expected {','.join(HEADER)} as the first line, "
                             "pos,layer,ids... or layer,expert)")
    notes.say(f"{path}: {STRIDED}")
    rows = [(place, _numbers(place, words)) for place, words in rows]
    if len(rows[0][1]) > 2:
        return [(place, dict(token=n[0], layer=n[1], experts=n[2:], phase=int(n[0] >= 0))) for place, n in rows]
    if top_k is None:
        raise Refusal(USAGE, "--top-k is needed: rows of layer,expert do not say it")
    return _by_layer(path, rows, top_k)


def _by_rank(rows):
    """phase,token,layer,rank,expert: ranks 0 .. k - 1 of a token and layer, in any order."""
    found = {}
    for place, words in rows:
        if len(words) != len(HEADER) or words[0] not in PHASES:
            raise Refusal(INPUT, f"{place}: {','.join(words)[:80]!r} (expected {','.join(HEADER)}, the phase prefill or "
                                 "decode)")
        token, layer, rank, expert = _numbers(place, words[1:])
        record = found.setdefault((token, layer), (place, dict(token=token, layer=layer, phase=PHASES[words[0]],
                                                               experts={})))[1]
        if rank in record["experts"] or record["phase"] != PHASES[words[0]]:
            raise Refusal(INPUT, f"{place}: token {token}, layer {layer} has rank {rank} twice, or two phases")
        record["experts"][rank] = expert
    for place, record in found.values():
        if sorted(record["experts"]) != list(range(len(record["experts"]))):
            raise Refusal(INPUT, f"{place}: ranks {sorted(record['experts'])} (expected 0 to k - 1)")
        record["experts"] = [record["experts"][rank] for rank in sorted(record["experts"])]
    return list(found.values())


def _by_layer(path, rows, top_k):
    """layer,expert: k rows a token; a micro-batch has all its tokens of a layer, then those of the next."""
    records, begin, first, last, tokens = [], 0, None, None, 0
    while begin < len(rows):
        place, (layer, _) = rows[begin]
        end = begin
        while end < len(rows) and rows[end][1][0] == layer:
            end += 1
        if last is None or layer <= last:  # the next micro-batch
            first = 0 if first is None else first + tokens
            tokens = (end - begin) // top_k
        if (end - begin) != tokens * top_k or tokens == 0:
            raise Refusal(INPUT, f"{place}: {end - begin} rows of layer {layer} (expected {tokens or 1} tokens x top-"
                                 f"{top_k})")
        for token in range(tokens):
            here = rows[begin + token * top_k:begin + (token + 1) * top_k]
            records.append((place, dict(token=first + token, layer=layer, experts=[n[1] for _, n in here])))
        begin, last = end, layer
    return records


def moetrc01(path, data):
    """u32 length, JSON, then records: u32 step, u16 layer, u16 k, u32 n, u8 phase, u8, u16, u16 ids[n, k]."""
    records, token, steps = [], 0, {}
    try:
        length, = struct.unpack_from("<I", data, 8)
        json.loads(data[12:12 + length])
        at = 12 + length
        while at < len(data):
            step, layer, top_k, rows, phase, _, _ = struct.unpack_from("<IHHIBBH", data, at)
            ids = np.frombuffer(data, "<u2", rows * top_k, at + 16).reshape(rows, top_k)
            place = f"{path}: record at byte {at}"
            if step not in steps:
                steps[step] = token, rows
                token += rows
            first, expected = steps[step]
            if rows != expected or phase > 1:
                raise Refusal(INPUT, f"{place}: {rows} rows, phase {phase} (expected {expected} rows, as in the step's "
                                     "other layers, and phase 0 or 1)")
            records += [(place, dict(token=first + i, layer=layer, experts=row.tolist(), phase=phase))
                        for i, row in enumerate(ids)]
            at += 16 + 2 * rows * top_k
    except (struct.error, ValueError, RecursionError) as error:
        raise Refusal(INPUT, f"{path}: damaged or cut off ({error})") from None
    return records


def cache_lab(path, values, notes):
    """A metadata line, then one event a token and layer."""
    head = values[0]
    if head.get("record_type") != "metadata" or head.get("format_version") != 1:
        raise Refusal(INPUT, f"{path}:1: {head.get('record_type')!r}, format_version {head.get('format_version')!r} "
                             "(expected metadata, 1)")
    records = []
    for number, event in enumerate(values[1:], 2):
        place = f"{path}:{number}"
        if not isinstance(event, dict) or event.get("record_type") != "routing_selection":
            notes.say(f"{path}: records other than routing_selection are not read")
            continue
        check_keys(place, event, LAB, notes)
        experts, whole = event.get("selected_experts"), (event.get("token_position"), event.get("layer"))
        if not isinstance(experts, list) or not all(type(n) is int for n in (*experts, *whole)) \
                or event.get("phase") not in PHASES:
            raise Refusal(INPUT, f"{place}: not a routing_selection (expected layer, token_position, selected_experts, "
                                 "and phase prompt or generated)")
        record = dict(token=whole[0], layer=whole[1], experts=experts, phase=PHASES[event["phase"]])
        if event.get("selected_probabilities"):
            record["weights"] = event["selected_probabilities"]
        records.append((place, record))
    if not all("weights" in record for _, record in records):  # the log leaves them out where it did not have them
        for _, record in records:
            record.pop("weights", None)
    return records
