"""Arrays of routing by name, from .npy, .npz, safetensors, .pt or JSON: `routed_experts` of vLLM, SGLang and TensorRT-LLM,
`output_router_logits` of Hugging Face, logits of moe-lrc, other dumps.

A file is one sequence, or several with an array `sequence_offsets`. In it is one or both of
  routed_experts, expert_ids    integers [tokens, layers, k]; with prompt_routed_experts, the prompt's, before them
  router_logits                 floats [tokens, layers, experts]; or one array a layer: router_logits.0, .1, ... or
                                layers.0, ..., each [tokens, experts] or [sequences, tokens, experts]
and optionally expert_weights [tokens, layers, k], token_ids [tokens], phase [tokens] or the number `prompt_tokens`,
layer_numbers [layers], sequence_label [sequences] (the domain of each), and `routed_experts_start_len` (tokens of a
cached prefix, which have no row). Ids and logits of one file have to agree.
"""

import re

import numpy as np

from .axes import mapped
from .importing import Piece
from .keys import check_keys
from .refusal import INPUT, Refusal
from .requests import IDS, STARTS, joined_ids, number, numbers_in_a_row, placed

LAYER = re.compile(r"^(?:router_logits|layers?)[._](\d+)(?:\.(?:mlp\.|block_sparse_moe\.)?(?:router_logits|gate|router))?$")
KNOWN = (*IDS, "prompt_routed_experts", "router_logits", "expert_weights", "token_ids", "prompt_token_ids", "phase",
         "prompt_tokens", *STARTS, "layer_numbers", "sequence_offsets", "sequence_label")


def is_known(name):
    return name in KNOWN or LAYER.match(name)


def named(value):
    """The arrays by name of what a file holds: a mapping of arrays, a list of them (one a layer), or one alone."""
    if isinstance(value, np.ndarray):
        return {"router_logits" if value.dtype.kind == "f" else "routed_experts": value}
    if isinstance(value, (list, tuple)):
        value = {f"layers.{layer}": values for layer, values in enumerate(value)}
    return {name if isinstance(name, str) else f"layers.{name}": np.array(values) if type(values) is int else values
            for name, values in value.items()}


def chosen(path, names, notes):
    """Which of the arrays with these names are read."""
    check_keys(path, [name for name in names if not LAYER.match(name)], KNOWN, notes)
    return list(filter(is_known, names))


def logits_by_layer(path, arrays):
    """Arrays [tokens, experts] or [sequences, tokens, experts] a layer, as one, with the layers' numbers."""
    layers = {}
    for name in [name for name in arrays if LAYER.match(name)]:
        layer = int(LAYER.match(name)[1])
        if layer in layers:
            raise Refusal(INPUT, f"{path}: layer {layer} comes twice (found {name} and {layers[layer]})")
        layers[layer] = name
    if not layers:
        return arrays
    if "router_logits" in arrays:
        raise Refusal(INPUT, f"{path}: logits in one array and in one a layer (expected one of the two)")
    shapes = {arrays[name].shape for name in layers.values()}
    shape = shapes.pop()
    if shapes or len(shape) not in (2, 3) or 0 in shape:
        raise Refusal(INPUT, f"{path}: layers of shapes {sorted([shape, *shapes])} (expected one shape, [tokens, experts] "
                             "or [sequences, tokens, experts])")
    rest = {name: values for name, values in arrays.items() if name not in layers.values()}
    numbers = sorted(layers)
    if arrays.get("layer_numbers", np.array(numbers)).tolist() != numbers:
        raise Refusal(INPUT, f"{path}: layer_numbers {arrays['layer_numbers'].tolist()}, but arrays of layers {numbers}")
    if len(shape) == 3:
        rest.setdefault("sequence_offsets", np.arange(shape[0] + 1) * shape[1])
    flat = [arrays[layers[layer]].reshape(-1, shape[-1]) for layer in numbers]
    return {**rest, "router_logits": np.stack(flat, 1), "layer_numbers": np.array(numbers)}


def cuts(path, arrays, rows):
    """(offsets, labels) of the sequences of a file."""
    offsets = arrays.get("sequence_offsets", np.array([0, rows]))
    whole = offsets.ndim == 1 and offsets.dtype.kind in "iu" and len(offsets) > 1 and offsets[0] == 0 and offsets[-1] == rows
    if not whole or (np.diff(offsets.astype(np.int64)) <= 0).any():
        raise Refusal(INPUT, f"{path}: sequence_offsets {offsets.tolist()[:8]} (expected 0 to {rows}, ascending)")
    labels = arrays.get("sequence_label", np.array([""] * (len(offsets) - 1)))
    if labels.reshape(-1).shape != (len(offsets) - 1,) or labels.dtype.kind not in "US":
        raise Refusal(INPUT, f"{path}: sequence_label of shape {list(labels.shape)}, {labels.dtype} (expected "
                             f"{len(offsets) - 1} texts)")
    return offsets, labels.reshape(-1).astype(str)


def pieces(path, arrays, options, notes):
    """The Piece of every sequence of a file that holds these arrays."""
    if options.map:
        arrays = mapped(path, arrays, options)
        arrays = {name: arrays[name] for name in chosen(path, arrays, notes)}
    for name, values in arrays.items():
        if not isinstance(values, np.ndarray):
            raise Refusal(INPUT, f"{path}: {name} is no array")
    numbers_in_a_row(path, arrays, ("layer_numbers",))
    arrays = logits_by_layer(path, arrays)
    ids, prompt_rows = joined_ids(path, arrays)
    logits = arrays.get("router_logits")
    if ids is None and logits is None:
        raise Refusal(INPUT, f"{path}: no routing (expected {', '.join(IDS)}, router_logits or one array a layer, "
                             f"found {', '.join(sorted(arrays)) or 'nothing that is known'}; --map names axes of others)")
    routing = logits if ids is None else ids
    if routing.ndim != 3:
        raise Refusal(INPUT, f"{path}: routing of shape {list(routing.shape)} (expected [tokens, layers, k or experts])")
    rows = len(routing)
    offsets, labels = cuts(path, arrays, rows)
    if len(offsets) > 2 and (prompt_rows is not None or number(path, arrays, ("prompt_tokens", *STARTS)) is not None):
        raise Refusal(INPUT, f"{path}: one prompt's length for {len(offsets) - 1} sequences (expected phase, one "
                             "number a token)")
    tokens, phase, unrouted = placed(path, arrays, rows, prompt_rows)
    layers = arrays["layer_numbers"].tolist() if "layer_numbers" in arrays else None
    whole = dict(expert_ids=ids, router_logits=logits, expert_weights=arrays.get("expert_weights"), token_ids=tokens,
                 phase=phase)
    whole = {name: values for name, values in whole.items() if values is not None}
    for begin, end, label in zip(offsets, offsets[1:], labels):
        yield Piece(str(path), {name: values[begin:end] for name, values in whole.items()}, str(label), layers,
                    unrouted=unrouted)
