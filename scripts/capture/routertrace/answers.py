"""Routing in the JSON answers of SGLang and vLLM."""

import base64
import binascii
import io

import numpy as np

from .importing import Piece
from .keys import refuse_misspelt
from .refusal import INPUT, USAGE, Refusal, array_file
from .requests import joined_ids, number, placed

TYPES = {"int32": "<i4", "uint16": "<u2", "uint8": "u1"}
META = ("routed_experts", "routed_experts_dtype", "routed_experts_start_len", "prompt_tokens", "completion_tokens")
CHOICE = ("routed_experts", "prompt_token_ids", "token_ids", "routed_experts_prompt_start")


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
            arrays[name] = np.array(choice[name])
    usage = answer.get("usage") or {}
    if "prompt_tokens" in usage:
        arrays["prompt_tokens"] = np.array(usage["prompt_tokens"])
    return arrays


def _say_unread(place, parts, notes):
    """An answer has many keys; those that speak of experts and are not read are named."""
    for part in parts:
        for key in part if isinstance(part, dict) else ():
            if "expert" in key and key not in (*META, *CHOICE, "prompt_routed_experts"):
                notes.say(f"{place.split(': ')[0]}: {key!r} is not read (expected {', '.join(META[:3])}, "
                          "prompt_routed_experts)")


def piece(place, answer, top_k, notes):
    if not isinstance(answer, dict):
        raise Refusal(INPUT, f"{place}: no JSON object")
    meta, choices = answer.get("meta_info"), answer.get("choices")
    extra = (answer.get("sglext") or {}) if isinstance(answer.get("sglext"), dict) else {}
    refuse_misspelt(place, meta if isinstance(meta, dict) else {}, META)
    refuse_misspelt(place, extra, META)
    _say_unread(place, (answer, meta, extra, *(choices if isinstance(choices, list) else ())), notes)
    if isinstance(meta, dict) and "routed_experts" in meta:
        arrays = _sglang(place, meta, top_k)
    elif "routed_experts" in extra:
        arrays = _sglang(place, {**(answer.get("usage") or {}), **extra}, top_k)
    elif isinstance(choices, list) and choices and isinstance(choices[0], dict):
        refuse_misspelt(place, choices[0], CHOICE)
        refuse_misspelt(place, answer, ("prompt_routed_experts",))
        if len(choices) > 1:
            notes.say(f"{place}: the first of {len(choices)} choices is read")
        if choices[0].get("routed_experts") is None:
            raise Refusal(INPUT, f"{place}: no routing (routed_experts is null or absent, as after a preemption)")
        arrays = _vllm(place, answer, choices[0])
    else:
        raise Refusal(INPUT, f"{place}: no routing (expected meta_info.routed_experts, sglext.routed_experts or "
                             "choices[].routed_experts)")
    ids, prompt_rows = joined_ids(place, arrays)
    if ids.ndim != 3 or ids.dtype.kind not in "iu":
        raise Refusal(INPUT, f"{place}: routed_experts {list(ids.shape)}, {ids.dtype} (expected integers [rows, layers, "
                             "k])")
    number(place, arrays, ("prompt_tokens",))
    tokens, phase, unrouted = placed(place, arrays, len(ids), prompt_rows)
    held = dict(expert_ids=ids, token_ids=tokens, phase=phase)
    return Piece(place, {name: values for name, values in held.items() if values is not None}, unrouted=unrouted)
