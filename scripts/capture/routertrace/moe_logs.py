"""Routing logs of llama.cpp forks (moe-trace, as CSV and MOETRC01) and of moe-cache-lab, as records a token and layer."""

import struct

import numpy as np

from .keys import check_keys, load_json
from .records import Sequence
from .refusal import INPUT, USAGE, Refusal

HEADER = ["phase", "token", "layer", "rank", "expert"]
LAST = "the last layer has fewer rows than others, those that were put out: taken for those of its last tokens"
PHASES = {"prefill": 0, "prompt": 0, "decode": 1, "generated": 1}
STRIDED = ("this layout is known from builds that misread the router's output: of a prompt's rows, those after the first "
           "of each micro-batch may be wrong")
TRACE_HEAD = ("format", "version", "set", "id", "model", "arch", "n_layer", "n_expert", "n_expert_used", "n_prompt",
              "n_predict", "n_ctx", "n_batch", "n_ubatch")
LAB_HEAD = ("record_type", "format", "format_version", "model_id", "num_experts", "experts_per_token")
LAB = ("record_type", "layer", "phase", "selected_experts", "selected_probabilities", "token_position")


def from_records(path, records, notes, model="", experts=None):
    """The one Piece of (place, record) pairs; all of them are one sequence. Engines leave out what they do not compute, as a
    prompt's last layer but for the rows that are put out: a trace has every layer of a token, so those tokens are cut."""
    found = [(place, {"sequence": path.name, **record}) for place, record in records]
    layers, held = {record["layer"] for _, record in found}, {}
    for _, record in found:
        held.setdefault(record["token"], set()).add(record["layer"])
    whole = [(place, record) for place, record in found if held[record["token"]] == layers]
    if not whole:
        raise Refusal(INPUT, f"{path}: no routing in it" if not found else
                      f"{path}: no token has all {len(layers)} layers (expected a record of each)")
    cut = len(held) - len({record["token"] for _, record in whole})
    if cut:
        notes.say(f"{path}: {cut} of {len(held)} tokens cut: they lack a layer that others have")
    piece = Sequence(path, whole).piece()
    piece.model, piece.experts = model, experts
    return [piece]


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
    return _by_layer(path, rows, top_k, notes)


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


def _by_layer(path, rows, top_k, notes):
    """layer,expert: k rows a token; a micro-batch has all its tokens of a layer, then those of the next."""
    records, begin, first, last, tokens, highest = [], 0, None, None, 0, max(layer for _, (layer, _) in rows)
    while begin < len(rows):
        place, (layer, _) = rows[begin]
        end = begin
        while end < len(rows) and rows[end][1][0] == layer:
            end += 1
        if last is None or layer <= last:  # the next micro-batch
            first = 0 if first is None else first + tokens
            tokens = (end - begin) // top_k
        here, rest = divmod(end - begin, top_k)
        if rest or not here or here != tokens and (here > tokens or layer != highest):
            raise Refusal(INPUT, f"{place}: {end - begin} rows of layer {layer} (expected {tokens or 1} tokens x top-"
                                 f"{top_k})")
        if here < tokens:
            notes.say(f"{path}: {LAST}")
        for i in range(here):
            chosen = [n[1] for _, n in rows[begin + i * top_k:begin + (i + 1) * top_k]]
            records.append((place, dict(token=first + tokens - here + i, layer=layer, experts=chosen)))
        begin, last = end, layer
    return records


def _described(path, place, head, known, names, records, notes):
    """The Piece of `records` under a header, whose keys and what they say of the model (`names`: its own, experts, experts
    per token) are checked."""
    if not isinstance(head, dict):
        raise Refusal(INPUT, f"{place}: a header that is no JSON object")
    check_keys(place, head, known, notes)
    model, experts, top_k = (head.get(name) for name in names)
    largest = max((max(record["experts"], default=0) for _, record in records), default=0)
    widths = {len(record["experts"]) for _, record in records}
    if experts is not None and (type(experts) is not int or experts <= largest):
        raise Refusal(INPUT, f"{place}: {names[1]} is {str(experts)[:40]} (found an expert {largest})")
    if top_k is not None and widths - {top_k}:
        raise Refusal(INPUT, f"{place}: {names[2]} is {str(top_k)[:40]} (found {sorted(widths)} experts a token and "
                             "layer)")
    return from_records(path, records, notes, model if isinstance(model, str) else "", experts)


def moetrc01(path, data, notes):
    """u32 length, JSON, then records: u32 step, u16 layer, u16 k, u32 n, u8 phase, u8, u16, u16 ids[n, k]."""
    records, token, steps, short = [], 0, {}, {}
    try:
        length, = struct.unpack_from("<I", data, 8)
        at = 12 + length
        head = load_json(path, data[12:at].decode())
        while at < len(data):
            step, layer, top_k, rows, phase, _, _ = struct.unpack_from("<IHHIBBH", data, at)
            ids = np.frombuffer(data, "<u2", rows * top_k, at + 16).reshape(rows, top_k)
            place = f"{path}: record at byte {at}"
            if step not in steps:
                steps[step] = token, rows
                token += rows
            first, expected = steps[step]
            wrong = Refusal(INPUT, f"{place}: {rows} rows of {top_k}, phase {phase} (expected {expected} rows, as in the "
                                   "step's other layers, 1 expert or more, and phase 0 or 1)")
            if rows > expected or phase > 1 or 0 in (expected, top_k):
                raise wrong
            if rows < expected:
                short.setdefault(layer, wrong)
            records += [(place, dict(token=first + expected - rows + i, layer=layer, experts=row.tolist(), phase=phase))
                        for i, row in enumerate(ids)]
            at += 16 + 2 * rows * top_k
    except (struct.error, ValueError) as error:
        raise Refusal(INPUT, f"{path}: damaged or cut off ({error})") from None
    highest = max((record["layer"] for _, record in records), default=0)
    for layer, wrong in short.items():
        if layer != highest:
            raise wrong
        notes.say(f"{path}: {LAST}")
    return _described(path, path, head, TRACE_HEAD, ("model", "n_expert", "n_expert_used"), records, notes)


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
                or str(event.get("phase")) not in PHASES:
            raise Refusal(INPUT, f"{place}: not a routing_selection (expected layer, token_position, selected_experts, "
                                 "and phase prompt or generated)")
        record = dict(token=whole[0], layer=whole[1], experts=experts, phase=PHASES[event["phase"]])
        weights = event.get("selected_probabilities") or None
        if weights is not None:
            if not isinstance(weights, list) or len(weights) != len(experts) \
                    or not all(type(weight) in (int, float) for weight in weights):
                raise Refusal(INPUT, f"{place}: selected_probabilities (expected {len(experts)} numbers, as "
                                     "selected_experts)")
            record["weights"] = weights
        records.append((place, record))
    if not all("weights" in record for _, record in records):  # the log leaves them out where it did not have them
        for _, record in records:
            record.pop("weights", None)
    return _described(path, f"{path}:1", head, LAB_HEAD, ("model_id", "num_experts", "experts_per_token"), records, notes)
