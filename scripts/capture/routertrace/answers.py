"""Routing in the JSON answers of SGLang and vLLM."""

import base64
import binascii
import io

import numpy as np

from .importing import Piece
from .keys import refuse_misspelt
from .refusal import INPUT, USAGE, Refusal, array_file
from .requests import joined_ids, placed

TYPES = {"int32": "<i4", "uint16": "<u2", "uint8": "u1"}
META = ("routed_experts", "routed_experts_dtype", "routed_experts_start_len", "prompt_tokens", "completion_tokens")
LISTS = ("input_expert_ids", "output_expert_ids")
CHOICE = ("routed_experts", "prompt_token_ids", "token_ids", "routed_experts_prompt_start")


def _mapping(value):
    return value if isinstance(value, dict) else {}


def _decoded(place, text):
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise Refusal(INPUT, f"{place}: routed_experts is no base64 ({error})") from None


def _sglang(place, meta, top_k):
    kind = meta.get("routed_experts_dtype", "int32")
    if kind not in TYPES:
        raise Refusal(INPUT, f"{place}: routed_experts_dtype {kind!r} (expected one of {', '.join(TYPES)})")
    if top_k is None:
        raise Refusal(USAGE, "--top-k is needed: an answer of SGLang does not say it")
    raw = _decoded(place, meta["routed_experts"])
    counts = [meta.get(name) for name in ("prompt_tokens", "completion_tokens")]
    start = meta.get("routed_experts_start_len", 0)
    if not all(type(count) is int and count >= 0 for count in (*counts, start)):
        raise Refusal(INPUT, f"{place}: prompt_tokens, completion_tokens {counts} (expected numbers)")
    rows = sum(counts) - 1 - start
    size = np.dtype(TYPES[kind]).itemsize
    if rows < 1 or len(raw) == 0 or len(raw) % (rows * top_k * size):
        raise Refusal(INPUT, f"{place}: {len(raw)} bytes of routing (expected a multiple of {rows} rows x {top_k} "
                             f"experts x {size} bytes)")
    ids = np.frombuffer(raw, TYPES[kind]).reshape(rows, -1, top_k)
    return dict(routed_experts=ids, prompt_tokens=np.array(counts[0]), routed_experts_start_len=np.array(start))


def _vllm(place, answer, choice):
    arrays = {}
    for name, values in (("routed_experts", choice["routed_experts"]),
                         ("prompt_routed_experts", answer.get("prompt_routed_experts"))):
        with array_file(f"{place}: {name}"):
            if isinstance(values, str):
                arrays[name] = np.load(io.BytesIO(_decoded(place, values)), allow_pickle=False)
            elif values is not None:
                arrays[name] = np.array(values)
    for name in ("token_ids", "prompt_token_ids", "routed_experts_prompt_start"):
        if choice.get(name) is not None:
            with array_file(f"{place}: {name}"):
                arrays[name] = np.array(choice[name])
    usage = _mapping(answer.get("usage"))
    if "prompt_tokens" in usage:
        arrays["prompt_tokens"] = np.array(usage["prompt_tokens"])
    return arrays


def _say_unread(place, parts, notes):
    """An answer has many keys; those that speak of experts and are not read are named."""
    for part in map(_mapping, parts):
        lists = (*LISTS, "expert_ids_schema") if all(name in part for name in LISTS) else ()
        for key in part:
            if "expert" in key and key not in (*META, *CHOICE, *lists, "prompt_routed_experts"):
                notes.say(f"{place.split(': ')[0]}: {key!r} is not read (expected {', '.join(META[:3])}, "
                          "prompt_routed_experts)")


def _lists(place, meta, top_k):
    """input_expert_ids (a row a prompt token but its last) and output_expert_ids, which some builds of SGLang answer."""
    schema = meta.get("expert_ids_schema")
    layers = schema.get("moe_layer_ids") if isinstance(schema, dict) else None
    if not isinstance(layers, list) or not layers or not all(type(layer) is int for layer in layers):
        raise Refusal(INPUT, f"{place}: no expert_ids_schema.moe_layer_ids (expected the numbers of the layers)")
    parts = []
    for name in LISTS:
        with array_file(f"{place}: {name}"):
            values = meta[name]
            if isinstance(values, str):
                values = np.frombuffer(_decoded(place, values), TYPES["int32"]).reshape(-1, len(layers), top_k or 1)
            parts.append(np.array(values))
        if parts[-1].ndim != 3 or parts[-1].shape[1] != len(layers):
            raise Refusal(INPUT, f"{place}: {name} {list(parts[-1].shape)} (expected [rows, {len(layers)}, k])")
    return dict(routed_experts=np.concatenate(parts), layer_numbers=np.array(layers),
                prompt_tokens=np.array(meta.get("prompt_tokens", len(parts[0]) + 1)))


def _requests(place, answer, top_k, notes):
    """The arrays of every request of one answer; None where a request has no routing."""
    meta, extra, choices = _mapping(answer.get("meta_info")), _mapping(answer.get("sglext")), answer.get("choices")
    for held in (meta, extra):
        refuse_misspelt(place, held, (*META, *LISTS))
    _say_unread(place, (answer, meta, extra, *(choices if isinstance(choices, list) else ())), notes)
    for held in (meta, {**_mapping(answer.get("usage")), **extra} if extra else {}):
        if "routed_experts" in held:
            yield _sglang(place, held, top_k) if held["routed_experts"] is not None else None
            return
        if all(name in held for name in LISTS):
            yield _lists(place, held, top_k)
            return
    if not isinstance(choices, list) or not choices or not all(isinstance(choice, dict) for choice in choices):
        raise Refusal(INPUT, f"{place}: no routing (expected meta_info.routed_experts, sglext.routed_experts or "
                             "choices[].routed_experts)")
    refuse_misspelt(place, answer, ("prompt_routed_experts",))
    for choice in choices:
        refuse_misspelt(place, choice, CHOICE)
        yield None if choice.get("routed_experts") is None else _vllm(place, answer, choice)


def _piece(place, arrays, model):
    ids, prompt_rows = joined_ids(place, arrays)
    if ids.ndim != 3 or ids.dtype.kind not in "iu":
        raise Refusal(INPUT, f"{place}: routed_experts {list(ids.shape)}, {ids.dtype} (expected integers [rows, layers, "
                             "k])")
    tokens, phase, unrouted = placed(place, arrays, len(ids), prompt_rows)
    held = dict(expert_ids=ids, token_ids=tokens, phase=phase)
    layers = arrays["layer_numbers"].tolist() if "layer_numbers" in arrays else None
    return Piece(place, {name: values for name, values in held.items() if values is not None}, layers=layers,
                 unrouted=unrouted, model=model if isinstance(model, str) else "")


def pieces(path, values, top_k, notes):
    """The Piece of every request in a list of answers."""
    found = absent = 0
    for number, answer in enumerate(values):
        place = f"{path}: answer {number}"
        if not isinstance(answer, dict):
            raise Refusal(INPUT, f"{place}: no JSON object")
        for arrays in _requests(place, answer, top_k, notes):
            found, absent = found + (arrays is not None), absent + (arrays is None)
            if arrays is not None:
                yield _piece(place, arrays, answer.get("model"))
    if not found:
        raise Refusal(INPUT, f"{path}: no routing (routed_experts is null or absent, as after a preemption)")
    if absent:
        notes.say(f"{path}: {absent} of {found + absent} requests left out: routed_experts is null or absent, as after a "
                  "preemption")
