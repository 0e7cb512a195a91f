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
JSON answers may stand in a list, or one a line in a .jsonl file: a sequence each. NumPy and h5py only.
Exit status: 0 done, 2 wrong usage, 3 a file is refused, 4 the machine failed us.
"""

import argparse
from pathlib import Path

import routertrace  # noqa: F401, first: it says plainly that NumPy is missing

from routertrace import answers, moe_logs
from routertrace.importing import add_model_options, write_trace
from routertrace.keys import Notes, load_json
from routertrace.refusal import INPUT, Refusal, run


def json_pieces(path, text, top_k, notes):
    lines = [line for line in text.splitlines() if line.strip()]
    one_a_line = path.suffix == ".jsonl"
    values = [load_json(f"{path}:{i}", line) for i, line in enumerate(lines, 1)] if one_a_line else load_json(path, text)
    values = values if isinstance(values, list) else [values]
    if values and isinstance(values[0], dict) and "record_type" in values[0]:
        yield moe_logs.from_records(path, moe_logs.cache_lab(path, values, notes))
        return
    for number, value in enumerate(values):
        yield answers.piece(f"{path}: answer {number}", value, top_k, notes)


def pieces(path, top_k, notes):
    data = path.read_bytes()
    if data.startswith(b"MOETRC01"):
        yield moe_logs.from_records(path, moe_logs.moetrc01(path, data))
        return
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal(INPUT, f"{path}: no layout that is known (expected JSON, CSV or MOETRC01)") from None
    if text.lstrip()[:1] in ("{", "["):
        yield from json_pieces(path, text, top_k, notes)
    else:
        yield moe_logs.from_records(path, moe_logs.comma_separated(path, text, top_k, notes))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    add_model_options(parser)
    options = parser.parse_args()
    notes = Notes()
    write_trace(options, "import_log.py", lambda: (piece for path in options.files
                                                   for piece in pieces(path, options.top_k, notes)))


if __name__ == "__main__":
    run(main)
