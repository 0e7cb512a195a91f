"""Arrays whose axes the user names (`--map [ARRAY=]AXIS,AXIS,...`), brought into the order that importers take.

AXIS is one of sequences, tokens, layers, k (of chosen experts), experts (all of them, for logits), or 1 for an axis of
length one; `layers*k` is an axis that holds both, row-major. ARRAY may have {layer} where it has the layer's number, so
that there is an array a layer.
"""

import math
import re

import numpy as np

from .refusal import INPUT, USAGE, Refusal

ORDER = ("sequences", "tokens", "layers", "k", "experts")
GIVEN = {"k": "top_k", "experts": "experts"}  # extents that an option states


def parse(text):
    """(array's name or None, axes: a tuple of names for each)."""
    name, _, axes = text.rpartition("=")
    axes = [tuple(axis.split("*")) for axis in axes.replace(" ", "").split(",")]
    single = [part for axis in axes for part in axis if part != "1"]
    unknown = [part for part in single if part not in ORDER]
    if unknown or len(single) != len(set(single)) or "tokens" not in single or ("k" in single) == ("experts" in single):
        raise Refusal(USAGE, f"--map {text} (expected [ARRAY=] and axes of {', '.join(ORDER)} or 1, each once: tokens "
                             "always, and either k or experts)")
    return name or None, axes


def without_layers(maps):
    """Whether these name the axes of one layer each, so that several files are so many layers."""
    return bool(maps) and not any("{layer}" in text or any("layers" in axis for axis in parse(text)[1]) for text in maps)


def _whole(place, axes, values, options):
    """`values` with each part of `axes` an axis of its own, and the names of these."""
    if not isinstance(values, np.ndarray) or values.ndim != len(axes):
        raise Refusal(INPUT, f"{place} has shape {list(getattr(values, 'shape', []))} (expected {len(axes)} axes: "
                             f"{', '.join('*'.join(axis) for axis in axes)})")
    shape = []
    for axis, extent in zip(axes, values.shape):
        known = {part: getattr(options, GIVEN[part]) for part in axis if part in GIVEN and len(axis) > 1}
        for part in known:
            if known[part] is None:
                raise Refusal(USAGE, f"--{GIVEN[part].replace('_', '-')} is needed: {'*'.join(axis)} does not say it")
        rest, product = len(axis) - len(known), math.prod(known.values())
        if rest > 1 or product < 1 or extent % product or rest == 0 and extent != product or axis == ("1",) and extent != 1:
            raise Refusal(INPUT, f"{place}: an axis {'*'.join(axis)} of extent {extent} (expected a multiple of {product}, "
                                 "and 1 for an axis 1)")
        shape += [known.get(part, extent // product) for part in axis]
    names = [part for axis in axes for part in axis]
    kept = [i for i, name in enumerate(names) if name != "1"]
    return values.reshape([shape[i] for i in kept]), [names[i] for i in kept]


def _canonical(place, axes, values, options):
    """(name by which importers know it, values [tokens, layers or none, last], sequences or None)."""
    values, names = _whole(place, axes, values, options)
    order = [name for name in ORDER if name in names]
    values, sequences = values.transpose([names.index(name) for name in order]), None
    if "sequences" in names:
        sequences = len(values)
        values = values.reshape(-1, *values.shape[2:])
    if "experts" in names:
        return "router_logits", values, sequences
    return "expert_weights" if values.dtype.kind == "f" else "expert_ids", values, sequences


def _matching(place, name, arrays):
    """{layer or None: (array's name, values)} of what a name, with or without {layer}, stands for."""
    if name is None:
        if len(arrays) != 1:
            raise Refusal(USAGE, f"{place}: --map needs the name of an array (found {', '.join(map(str, sorted(arrays)))})")
        name = next(iter(arrays))
    if "{layer}" not in name:
        found = {None: (name, arrays[name])} if name in arrays else {}
    else:
        pattern = re.compile(r"(\d+)".join(map(re.escape, name.split("{layer}"))))
        found = {int(match[1]): (key, arrays[key]) for key in arrays for match in [pattern.fullmatch(key)] if match}
    if not found:
        raise Refusal(INPUT, f"{place}: no array {name} (found {', '.join(map(str, sorted(arrays)))[:200]})")
    return found


def mapped(place, arrays, options):
    """`arrays` with those that `options.map` names under the names and with the axes that importers take."""
    out, taken = {}, set()
    for text in options.map:
        name, axes = parse(text)
        found = _matching(place, name, arrays)
        parts = {layer: _canonical(f"{place}: {key}", axes, values, options) for layer, (key, values) in found.items()}
        taken |= {key for key, _ in found.values()}
        roles, shapes = {part[0] for part in parts.values()}, {part[1].shape for part in parts.values()}
        if len(roles) > 1 or len(shapes) > 1 or roles & set(out):
            raise Refusal(INPUT, f"{place}: --map {text}: arrays of {len(roles)} kinds and {len(shapes)} shapes (expected "
                                 "one of each, and a kind once)")
        role, sequences = roles.pop(), next(iter(parts.values()))[2]
        layered = any("layers" in axis for axis in axes)
        if layered and None not in parts:
            raise Refusal(USAGE, f"--map {text}: layers twice (expected them as an axis or as {{layer}})")
        values = parts[None][1] if None in parts else np.stack([parts[layer][1] for layer in sorted(parts)], 1)
        out[role] = values if layered or None not in parts else values[:, None]
        if None not in parts:
            out["layer_numbers"] = np.array(sorted(parts))
        if sequences:
            out["sequence_offsets"] = np.arange(sequences + 1) * (len(values) // sequences)
    rest = {name: values for name, values in arrays.items() if name not in taken and name not in out}
    return {**rest, **out}
