#!/usr/bin/env python3
"""Imports routing from arrays: vLLM and SGLang `routed_experts`, Hugging Face `output_router_logits`, other dumps.

    import_arrays.py dumps/*.npz -o trace.h5 --model my-model --experts 128
    import_arrays.py request1.npy request2.npy -o trace.h5 --model my-model --experts 64

Each file (.npy, .npz or .safetensors) is one sequence, or several with an array `sequence_offsets`. In an .npy file,
and under these names in the others, is one of
  routed_experts, expert_ids    integers [tokens, layers, k] (vLLM and SGLang write int16; rows of -1 are dropped)
  router_logits                 floats [tokens, layers, experts]; or one array a layer: router_logits.0, .1, ...
                                or layers.0, ..., each [tokens, experts]
and optionally expert_weights [tokens, layers, k], token_ids [tokens], and phase [tokens] or the number `prompt_tokens`.
NumPy and h5py only. Exit status: 0 done, 2 wrong usage, 3 a file is refused, 4 the machine failed us.
"""

import argparse
import re
from pathlib import Path

import numpy as np

from routertrace.importing import add_model_options, check_ids, describe, check_logits
from routertrace.progress import Progress
from routertrace.refusal import INPUT, Refusal, run
from routertrace.safetensors_file import SafetensorsFile
from routertrace.trace_file import TraceWriter, id_type

IDS = ("routed_experts", "expert_ids")
LAYER = re.compile(r"^(?:router_logits|layers|layer)[._](\d+)(?:\..*)?$")


def read(path):
    """The arrays of a file by name."""
    try:
        if path.suffix == ".safetensors":
            tensors = SafetensorsFile(path)
            return {name: tensors[name] for name in tensors}
        loaded = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise Refusal(INPUT, f"{path}: not an array file ({error})") from None
    if isinstance(loaded, np.ndarray):
        return {"router_logits" if loaded.dtype.kind == "f" else "routed_experts": loaded}
    with loaded:
        return dict(loaded)


def routing(path, arrays):
    """("expert_ids" | "router_logits", [tokens, layers, ...])."""
    for name in IDS:
        if name in arrays:
            return "expert_ids", arrays[name]
    if "router_logits" in arrays:
        return "router_logits", arrays["router_logits"]
    layers = {int(LAYER.match(name)[1]): values for name, values in arrays.items() if LAYER.match(name)}
    if layers:
        shapes = {values.reshape(-1, values.shape[-1]).shape for values in layers.values()}
        if len(shapes) > 1:
            raise Refusal(INPUT, f"{path}: layers differ in shape (found {sorted(shapes)})")
        return "router_logits", np.stack([layers[n].reshape(shapes.copy().pop()) for n in sorted(layers)], 1)
    raise Refusal(INPUT, f"{path}: no routing (expected {', '.join(IDS)}, router_logits or one array a layer, found "
                         f"{', '.join(sorted(arrays)) or 'nothing'})")


def per_token(path, arrays, tokens):
    """token_ids, phase and expert_weights, as far as the file has them."""
    found = {}
    for name, kind in (("token_ids", np.int32), ("phase", np.uint8), ("expert_weights", np.float32)):
        if name in arrays:
            if len(arrays[name]) != tokens:
                raise Refusal(INPUT, f"{path}: {name} has {len(arrays[name])} tokens (expected {tokens})")
            found[name] = arrays[name].astype(kind)
    if "prompt_tokens" in arrays and "phase" not in found:
        found["phase"] = (np.arange(tokens) >= int(arrays["prompt_tokens"])).astype(np.uint8)
    return found


def sequences(path):
    """(arrays) of every sequence of a file."""
    arrays = read(path)
    kind, values = routing(path, arrays)
    if values.ndim != 3:
        raise Refusal(INPUT, f"{path}: {kind} has shape {list(values.shape)} (expected [tokens, layers, ...])")
    whole = {kind: values, **per_token(path, arrays, len(values))}
    offsets = arrays.get("sequence_offsets", np.array([0, len(values)]))
    if kind == "expert_ids":
        absent = (values < 0).all((1, 2))  # a request's last token, or a cached prefix, was never routed
    else:
        absent = np.zeros(len(values), bool)
    for begin, end in zip(offsets, offsets[1:]):
        keep = np.flatnonzero(~absent[begin:end]) + begin
        if len(keep):
            yield {name: array[keep] for name, array in whole.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    add_model_options(parser)
    options = parser.parse_args()
    _, first = routing(options.files[0], read(options.files[0]))
    description = describe(options, first, "import_arrays.py")
    progress = Progress("files", len(options.files))
    with TraceWriter(options.output, description) as trace:
        for path in options.files:
            for sequence in sequences(path):
                if "expert_ids" in sequence:
                    check_ids(path, sequence["expert_ids"], description.rule)
                    sequence["expert_ids"] = sequence["expert_ids"].astype(id_type(description.rule.experts))
                else:
                    sequence["router_logits"] = check_logits(path, sequence["router_logits"], description.rule)
                trace.append(path.stem, **sequence)
            progress.advance()
    progress.close()


if __name__ == "__main__":
    run(main)
