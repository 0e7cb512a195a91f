#!/usr/bin/env python3
"""Imports routing from what servers answer and what engines log, one request a file.

    import_log.py answer.json -o trace.h5 --model my-model --experts 128 --top-k 8
    import_log.py run.moetrace -o trace.h5 --model my-model --experts 64

The layout is seen from the content:
  SGLang answers      meta_info.routed_experts (or sglext.routed_experts): base64 of [rows, layers, k]; needs --top-k
  vLLM answers        choices[0].routed_experts: base64 of an .npy, or lists, then with prompt_routed_experts
  moe-trace, CSV      phase,token,layer,rank,expert with that header; pos,layer,ids...; or layer,expert (needs --top-k)
  moe-trace, binary   MOETRC01
  moe-cache-lab       JSON lines with record_type, version 1
  RTRACE01            softmax probabilities over all experts, a token and layer a record; needs --top-k
  SGLang's recorder   .pt of mode per_token, physical experts mapped to logical ones
JSON answers may stand in a list, or one a line in a .jsonl file: a sequence each. Files with counts and no routing are
import_counts.py's. NumPy and h5py only.
Exit status: 0 done, 2 wrong usage, 3 a file is refused, 4 the machine failed us.
"""

import argparse
from pathlib import Path

import routertrace  # noqa: F401, first: it says plainly that NumPy is missing

from routertrace import answers, kinds, moe_logs, recorder, rtrace, torch_file
from routertrace.importing import add_model_options, write_trace
from routertrace.keys import Notes, load_json
from routertrace.refusal import INPUT, Refusal, run


def json_pieces(path, text, top_k, notes):
    lines = [line for line in text.splitlines() if line.strip()]
    one_a_line = path.suffix == ".jsonl"
    values = [load_json(f"{path}:{i}", line) for i, line in enumerate(lines, 1)] if one_a_line else load_json(path, text)
    values = values if isinstance(values, list) else [values]
    if values and isinstance(values[0], dict) and "record_type" in values[0]:
        yield moe_logs.from_records(path, moe_logs.cache_lab(path, values, notes), notes)
        return
    for number, value in enumerate(values):
        if isinstance(value, dict) and "logical_count" in value:
            raise kinds.counts(path, "logical_count")
        yield answers.piece(f"{path}: answer {number}", value, top_k, notes)


def recorded_pieces(path, notes):
    value = torch_file.load(path)
    if not isinstance(value, dict) or not isinstance(value.get("records"), list) or not any(
            isinstance(record, dict) and "topk_ids_of_layer" in record for record in value["records"]):
        raise kinds.counts(path, "no topk_ids_of_layer: counts")
    yield from recorder.pieces(path, value, notes)


def pieces(path, options, notes):
    kinds.check(path, kinds.LOG)
    data = path.read_bytes()
    if data.startswith(kinds.ZIP):
        yield from recorded_pieces(path, notes)
        return
    if data.startswith(rtrace.MAGIC):
        yield rtrace.piece(path, data, options, notes)
        return
    if data.startswith(b"MOETRC01"):
        yield moe_logs.from_records(path, moe_logs.moetrc01(path, data, notes), notes)
        return
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal(INPUT, f"{path}: no layout that is known (expected JSON, CSV, MOETRC01, RTRACE01 or a .pt)") from None
    if text.lstrip()[:1] in ("{", "["):
        yield from json_pieces(path, text, options.top_k, notes)
    else:
        yield moe_logs.from_records(path, moe_logs.comma_separated(path, text, options.top_k, notes), notes)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    add_model_options(parser)
    options = parser.parse_args()
    notes = Notes()
    write_trace(options, "import_log.py", lambda: (piece for path in options.files
                                                   for piece in pieces(path, options, notes)))


if __name__ == "__main__":
    run(main)
