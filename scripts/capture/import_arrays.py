#!/usr/bin/env python3
"""Imports routing from arrays: vLLM and SGLang `routed_experts`, Hugging Face `output_router_logits`, other dumps.

    import_arrays.py dumps/*.npz -o trace.h5 --model my-model --experts 128
    import_arrays.py request1.npy request2.npy -o trace.h5 --model my-model --experts 64
    import_arrays.py logits.safetensors -o trace.h5 --model my-model --top-k 8 --scoring sigmoid --renormalize \\
        --groups 8 --top-k-groups 4 --selection-bias ./model

Each file (.npy, .npz or .safetensors) is one sequence, or several with an array `sequence_offsets`. In an .npy file,
and under these names in the others, is one or both of
  routed_experts, expert_ids    integers [tokens, layers, k]; with prompt_routed_experts, the prompt's, before them
  router_logits                 floats [tokens, layers, experts]; or one array a layer: router_logits.0, .1, ...
                                or layers.0, ..., each [tokens, experts]
and optionally expert_weights [tokens, layers, k], token_ids [tokens], phase [tokens] or the number `prompt_tokens`,
layer_numbers [layers], sequence_label [sequences] (the domain of each), and `routed_experts_start_len` (tokens of a
cached prefix, which have no row). Ids and logits of one file have to agree. An .npz of routecap (ids, steps, topk, ...)
is known by its names. Files with counts and no routing are import_counts.py's.
Layers that are 0 or -1 throughout are placeholders of dense ones and left out; rows that are so in every layer (a cached
prefix, a request's last token) are cut, as are tokens without a row; how many is said. A misspelt name is refused.
NumPy and h5py only. Exit status: 0 done, 2 wrong usage, 3 a file is refused, 4 the machine failed us.
"""

import argparse
import re
from pathlib import Path

import routertrace  # noqa: F401, first: it says plainly that NumPy is missing
import numpy as np

from routertrace import kinds, routecap
from routertrace.importing import Piece, add_model_options, write_trace
from routertrace.keys import Notes, check_keys
from routertrace.progress import Progress
from routertrace.refusal import INPUT, Refusal, array_file, run
from routertrace.requests import IDS, STARTS, joined_ids, number, placed
from routertrace.safetensors_file import SafetensorsFile

LAYER = re.compile(r"^(?:router_logits|layers?)[._](\d+)(?:\.(?:mlp\.|block_sparse_moe\.)?(?:router_logits|gate|router))?$")
KNOWN = (*IDS, "prompt_routed_experts", "router_logits", "expert_weights", "token_ids", "prompt_token_ids", "phase",
         "prompt_tokens", *STARTS, "layer_numbers", "sequence_offsets", "sequence_label")


def read(path, notes):
    """The arrays of a file by name."""
    kinds.check(path, kinds.ARRAYS)
    with array_file(path):
        if path.suffix == ".safetensors":
            tensors = SafetensorsFile(path)
            names = list(tensors)
            check_keys(path, [name for name in names if not LAYER.match(name)], KNOWN, notes)
            return {name: tensors[name] for name in names if name in KNOWN or LAYER.match(name)}
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            if loaded.ndim == 2 and path.suffix == ".npy":
                raise Refusal(INPUT, f"{path}: an array of shape {list(loaded.shape)} (expected [tokens, layers, k]; "
                                     f"{kinds.COUNTS} reads counts [layers, experts])")
            return {"router_logits" if loaded.dtype.kind == "f" else "routed_experts": loaded}
        with loaded:
            if routecap.is_one(loaded):
                return dict(loaded)
            check_keys(path, [name for name in loaded if not LAYER.match(name)], KNOWN, notes)
            return {name: loaded[name] for name in loaded if name in KNOWN or LAYER.match(name)}


def logits_by_layer(path, arrays):
    """(router_logits [tokens, layers, experts], layer numbers) of one array a layer; (None, None) without any."""
    layers = {}
    for name, values in arrays.items():
        match = LAYER.match(name)
        if match and int(match[1]) in layers:
            raise Refusal(INPUT, f"{path}: layer {match[1]} comes twice (found {name} and "
                                 f"{layers[int(match[1])][0]})")
        if match:
            layers[int(match[1])] = name, values.reshape(-1, values.shape[-1]) if values.ndim > 1 else values
    if not layers:
        return None, None
    if "router_logits" in arrays:
        raise Refusal(INPUT, f"{path}: logits in one array and in one a layer (expected one of the two)")
    shapes = {values.shape for _, values in layers.values()}
    if len(shapes) > 1 or len(shapes.copy().pop()) != 2:
        raise Refusal(INPUT, f"{path}: layers differ in shape (expected [tokens, experts] each, found "
                             f"{sorted(shapes)})")
    numbers = sorted(layers)
    return np.stack([layers[n][1] for n in numbers], 1), numbers


def cuts(path, arrays, rows):
    """(offsets, labels) of the sequences of a file."""
    offsets = arrays.get("sequence_offsets", np.array([0, rows]))
    whole = offsets.ndim == 1 and len(offsets) > 1 and offsets[0] == 0 and offsets[-1] == rows
    if not whole or (np.diff(offsets.astype(np.int64)) <= 0).any():
        raise Refusal(INPUT, f"{path}: sequence_offsets {offsets.tolist()[:8]} (expected 0 to {rows}, ascending)")
    labels = arrays.get("sequence_label", np.array([""] * (len(offsets) - 1)))
    if labels.reshape(-1).shape != (len(offsets) - 1,) or labels.dtype.kind not in "US":
        raise Refusal(INPUT, f"{path}: sequence_label of shape {list(labels.shape)}, {labels.dtype} (expected "
                             f"{len(offsets) - 1} texts)")
    return offsets, labels.reshape(-1).astype(str)


def pieces(path, notes):
    """The Piece of every sequence of a file."""
    arrays = read(path, notes)
    if routecap.is_one(arrays):
        yield from routecap.pieces(path, arrays, notes)
        return
    ids, prompt_rows = joined_ids(path, arrays)
    logits, layers = logits_by_layer(path, arrays)
    logits = arrays.get("router_logits", logits)
    if ids is None and logits is None:
        raise Refusal(INPUT, f"{path}: no routing (expected {', '.join(IDS)}, router_logits or one array a layer, "
                             f"found {', '.join(sorted(arrays)) or 'nothing that is known'})")
    rows = len(logits if ids is None else ids)
    offsets, labels = cuts(path, arrays, rows)
    if len(offsets) > 2 and (prompt_rows is not None or number(path, arrays, ("prompt_tokens", *STARTS)) is not None):
        raise Refusal(INPUT, f"{path}: one prompt's length for {len(offsets) - 1} sequences (expected phase, one "
                             "number a token)")
    tokens, phase, unrouted = placed(path, arrays, rows, prompt_rows)
    numbers = arrays.get("layer_numbers")
    if numbers is not None:
        if layers not in (None, numbers.tolist()):
            raise Refusal(INPUT, f"{path}: layer_numbers {numbers.tolist()}, but arrays of layers {layers}")
        layers = numbers.tolist()
    whole = dict(expert_ids=ids, router_logits=logits, expert_weights=arrays.get("expert_weights"), token_ids=tokens,
                 phase=phase)
    whole = {name: values for name, values in whole.items() if values is not None}
    for begin, end, label in zip(offsets, offsets[1:], labels):
        yield Piece(str(path), {name: values[begin:end] for name, values in whole.items()}, str(label), layers,
                    unrouted=unrouted)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    add_model_options(parser)
    options = parser.parse_args()
    notes, progress = Notes(), Progress("files", 2 * len(options.files))

    def all_pieces():
        for path in options.files:
            yield from pieces(path, notes)
            progress.advance()

    write_trace(options, "import_arrays.py", all_pieces)
    progress.close()


if __name__ == "__main__":
    run(main)
