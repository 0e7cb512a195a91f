"""Tells what a file holds from its content, never from its name, and has it read."""

import json
import zipfile

import numpy as np

from . import (answers, arrays, counts, fingerprint, gguf_file, json_lines, moe_logs, recorder, routecap, rtrace,
               torch_file)
from .keys import load_json
from .refusal import INPUT, Refusal, array_file
from .safetensors_file import SafetensorsFile

TABLE = """\
  vllm             answers: routed_experts as base64 of an .npy, or as lists with prompt_routed_experts [source; 0.21, the
                   lists, from its documents]
  sglang           answers: meta_info.routed_experts or sglext.routed_experts, base64 [source]; needs --top-k; or
                   input_expert_ids with output_expert_ids [their names from source, that they are lists or base64 assumed]
  sglang-recorder  .pt of the expert distribution recorder, read without running its pickle [source]: per_token, physical
                   experts mapped to logical ones; per_pass and stat are counts
  rtrace01         softmax probabilities over all experts [a reader; no writer was found]; needs --top-k
  routecap         .npz with ids, steps, topk: verify steps, kept as `rounds` too [source]
  moe-trace        CSV (layer,expert needs --top-k; pos,layer,ids; phase,token,layer,rank,expert) or MOETRC01 [source]
  moe-cache-lab    JSON lines with record_type, version 1 [source]
  arrays           .npy, .npz, safetensors, .pt or JSON: routed_experts (vLLM, SGLang, TensorRT-LLM: CompletionOutput's
                   saved as it is), router_logits (Hugging Face; moe-lrc, [sequences, tokens, experts] a layer) [source],
                   or any array whose axes --map names
  json-lines       {sequence, token, layer, experts, weights} a line [ours]
  fingerprint      JSON of the GPT-OSS expert fingerprints: selected_experts, selected_probs [documents]
  counts           imatrix .gguf, EPLB weights or logical_count (.npy, .pt, .json), SGLang's recorder [source]: tokens per
                   expert without the routing of a token, so no trace but a table for `moecarlo synth`"""
NAMES = tuple(line.split()[0] for line in TABLE.splitlines() if line[2] != " ")
ALIASES = {"tensorrt-llm": "arrays", "moe-lrc": "arrays", "hugging-face": "arrays", "imatrix": "counts", "eplb": "counts"}
ZIP, ARRAY, HDF5 = b"PK\x03\x04", b"\x93NUMPY", b"\x89HDF\r\n"
FIRST_LINE = 1 << 16  # bytes, more than a record of ours takes
EXPECTED = "expected one of --help's: " + ", ".join(NAMES)


class Counts(dict):
    """{layer: int64 [experts]}: what is no routing of tokens."""


def _array(path, value, options, notes):
    """One array: counts, where it has but layers and experts."""
    if isinstance(value, np.ndarray) and value.ndim == 2 and not options.map:
        return "counts", Counts(counts.of_array(path, value, notes))
    found = arrays.named(value)
    names = list(found) if options.map else arrays.chosen(path, found, notes)
    return "arrays", arrays.pieces(path, {name: found[name] for name in names}, options, notes)


def _numpy(path, options, notes):
    with array_file(path):
        return _array(path, np.load(path, allow_pickle=False), options, notes)


def _archive(path, options, notes):
    """A zip: of torch.save, or of NumPy."""
    with array_file(path), zipfile.ZipFile(path) as archive:
        is_torch = any(name.endswith("/data.pkl") for name in archive.namelist())
    if not is_torch:
        with array_file(path), np.load(path, allow_pickle=False) as loaded:
            if routecap.is_one(loaded):
                return "routecap", routecap.pieces(path, dict(loaded), notes)
            names = list(loaded) if options.map else arrays.chosen(path, loaded, notes)
            return "arrays", arrays.pieces(path, {name: loaded[name] for name in names}, options, notes)
    value = torch_file.load(path)
    records = value.get("records") if isinstance(value, dict) else None
    if isinstance(records, list) and any(isinstance(r, dict) and "topk_ids_of_layer" in r for r in records):
        return "sglang-recorder", recorder.pieces(path, value, notes)
    if isinstance(value, dict) and not options.map and not any(map(arrays.is_known, arrays.named(value))):
        return "sglang-recorder", Counts(counts.of_recorder(path, value, notes))
    if not isinstance(value, (dict, list, tuple, np.ndarray)):
        raise Refusal(INPUT, f"{path}: no arrays in it ({EXPECTED})")
    return _array(path, value, options, notes)


def _safetensors(path, options, notes):
    tensors = SafetensorsFile(path)
    names = list(tensors) if options.map else arrays.chosen(path, list(tensors), notes)
    return "arrays", arrays.pieces(path, {name: tensors[name] for name in names}, options, notes)


def _is_answer(value):
    return isinstance(value, dict) and any(name in value for name in ("meta_info", "choices", "sglext"))


def _json(path, text, options, notes):
    """A JSON value, or JSON values one a line."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and isinstance(_value_of(lines[0]), dict):
        value = [load_json(f"{path}:{number}", line) for number, line in enumerate(lines, 1)]
    else:
        value = load_json(path, text)
    values = value if isinstance(value, list) else [value]
    head = values[0] if values and isinstance(values[0], dict) else {}
    if "record_type" in head:
        return "moe-cache-lab", moe_logs.cache_lab(path, values, notes)
    if any(map(_is_answer, values)):
        name = "vllm" if "choices" in head and "sglext" not in head else "sglang"
        return name, answers.pieces(path, values, options.top_k, notes)
    if "conditional_accept_rates" in head or "acceptance_length_histogram" in head:
        raise Refusal(INPUT, f"{path}: acceptance, no routing (a study takes it as [acceptance] profile)")
    if any("logical_count" in str(key) for key in head):
        return "counts", Counts(counts.of_json(path, head, notes))
    if options.map or any(map(arrays.is_known, head)):
        with array_file(path):
            held = {name: np.array(item) for name, item in head.items() if isinstance(item, (list, int))}
        return _array(path, held, options, notes)
    return "fingerprint", fingerprint.pieces(path, value, notes)


def _value_of(line):
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _text(path, options, notes):
    with open(path, "rb") as file:
        first = _value_of(file.readline(FIRST_LINE))
    if isinstance(first, dict) and {"token", "layer"} & set(first) and "record_type" not in first:
        return "json-lines", json_lines.pieces(path, notes)
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal(INPUT, f"{path}: no layout that is known ({EXPECTED}; a legacy imatrix .dat has no counts)") from None
    if text.lstrip()[:1] in ("{", "["):
        return _json(path, text, options, notes)
    return "moe-trace", moe_logs.from_records(path, moe_logs.comma_separated(path, text, options.top_k, notes), notes)


def read(path, options, notes):
    """(name of the format, its Pieces or Counts)."""
    with open(path, "rb") as file:
        head = file.read(16)
    if head.startswith(gguf_file.MAGIC):
        return "counts", Counts(counts.of_importance_matrix(path, notes))
    if head.startswith(rtrace.MAGIC):
        return "rtrace01", rtrace.pieces(path, path.read_bytes(), options, notes)
    if head.startswith(b"MOETRC01"):
        return "moe-trace", moe_logs.moetrc01(path, path.read_bytes(), notes)
    if head.startswith(b"MOE2"):
        raise Refusal(INPUT, f"{path}: MOE2, a moe-trace whose layout is not known (expected MOETRC01 or its CSV)")
    if head.startswith(HDF5):
        raise Refusal(INPUT, f"{path}: HDF5 (moecarlo inspect reads traces; {EXPECTED})")
    if head.startswith(ARRAY):
        return _numpy(path, options, notes)
    if head.startswith(ZIP):
        return _archive(path, options, notes)
    if head[8:9] == b"{" and head[6:8] == b"\0\0":  # a length of eight bytes, then JSON
        return _safetensors(path, options, notes)
    return _text(path, options, notes)
