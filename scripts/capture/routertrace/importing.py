"""What the importers share: the options that describe a model, and the way from what a file says to a trace.

A reader yields `Piece`s. Rows and layers that hold no routing (a dense layer, a cached prefix, a request's last token)
come as placeholders, 0 or -1 throughout: they are left out here, and how many is said.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .keys import Notes
from .refusal import INPUT, USAGE, Refusal, array_file
from .safetensors_file import SafetensorsFile
from .selection import BIASES, Rule, disagreements, gate_weights, select, store_logits
from .trace_file import Description, TraceWriter, id_type

TOLERATED = 1e-3  # share of rows in which ids and logits of one dump may differ: rounding; more means a wrong rule
WEIGHT_ERROR = 0.02  # of the largest gate weight of a row: bfloat16 and a few operations


def add_model_options(parser):
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="TRACE")
    parser.add_argument("--model", required=True, help="what the trace calls the model")
    parser.add_argument(
        "--experts", type=int, help="routed experts per layer (needed where only chosen ones are given)"
    )
    parser.add_argument("--top-k", type=int, help="experts per token (needed where logits alone are given)")
    parser.add_argument("--shared-experts", type=int, default=0)
    parser.add_argument("--scoring", choices=["softmax", "sigmoid", "topk_softmax"], default="softmax")
    parser.add_argument("--renormalize", action="store_true", help="chosen weights are rescaled to sum 1")
    parser.add_argument("--groups", type=int, default=1,
                        help="groups of experts, of which a token takes the best (DeepSeek's n_group)")
    parser.add_argument("--top-k-groups", type=int, help="groups that a token may choose from (DeepSeek's topk_group)")
    parser.add_argument("--selection-bias", type=Path, metavar="FILE",
                        help="added to the scores for selection only: an .npy [layers, experts], or the model's "
                             f"safetensors (file or folder) with {BIASES[0]} in each layer")
    parser.add_argument("--label", default="", help="domain of the sequences (code, maths, ...) where files name none")
    parser.add_argument("--source", default="")
    parser.add_argument("--licence", default="")


@dataclass
class Piece:
    """What a file says about one sequence, as arrays over its rows: `router_logits` [n, L, E], `expert_ids` [n, L, k]
    or both; optional `expert_weights` [n, L, k], `token_ids` [n], `phase` [n]."""

    place: str  # for messages
    arrays: dict
    label: str = ""
    layers: list = None  # [L] the model's own numbers, None: 0 .. L - 1
    positions: object = None  # [n] token numbers, None: 0 .. n - 1
    unrouted: int = 0  # tokens that the file names but has no row for


@dataclass
class Survey:
    """What all pieces of an import have in common; found in a first pass over them."""

    first: Piece
    layers: list
    used: np.ndarray = None  # [L] layers that hold routing somewhere
    holds: set = field(default_factory=set)


def _empty(values):
    """[n, L] rows of ids or logits that stand for no routing."""
    return (values == 0).all(-1) | (values == -1).all(-1)


def _routing(piece):
    return piece.arrays["expert_ids"] if "expert_ids" in piece.arrays else piece.arrays["router_logits"]


def _check_shapes(piece):
    for name in ("expert_ids", "router_logits"):
        values = piece.arrays.get(name)
        if values is not None and (values.ndim != 3 or 0 in values.shape):
            raise Refusal(INPUT, f"{piece.place}: {name} has shape {list(values.shape)} (expected [tokens, layers, "
                                 f"{'experts' if name == 'router_logits' else 'k'}])")
    rows = len(_routing(piece))
    for name, values in piece.arrays.items():
        per_token = name in ("token_ids", "phase")
        expected = [rows] if per_token else [rows, *_routing(piece).shape[1:2], *values.shape[2:]]
        if list(values.shape) != expected:
            raise Refusal(INPUT, f"{piece.place}: {name} has shape {list(values.shape)} (expected {expected})")
    weights = piece.arrays.get("expert_weights")
    if weights is not None and "expert_ids" not in piece.arrays:
        raise Refusal(INPUT, f"{piece.place}: expert_weights without the ids they belong to (expected expert_ids)")
    if weights is not None and weights.shape != piece.arrays["expert_ids"].shape:
        raise Refusal(INPUT, f"{piece.place}: expert_weights has shape {list(weights.shape)} (expected "
                             f"{list(piece.arrays['expert_ids'].shape)}, that of the ids)")
    phase = piece.arrays.get("phase")
    if phase is not None and not np.isin(phase, (0, 1)).all():
        raise Refusal(INPUT, f"{piece.place}: phase {phase[~np.isin(phase, (0, 1))][0]} (expected 0, prefill, or 1, "
                             "decode)")


def survey(pieces):
    found = None
    for piece in pieces:
        _check_shapes(piece)
        used = ~_empty(_routing(piece)).all(0)
        layers = list(range(len(used))) if piece.layers is None else [int(layer) for layer in piece.layers]
        if len(layers) != len(used) or layers != sorted(set(layers)):
            raise Refusal(INPUT, f"{piece.place}: layers {layers} (expected {len(used)} ascending numbers)")
        if found is None:
            found = Survey(piece, layers, used, set(piece.arrays))
        if layers != found.layers:
            raise Refusal(INPUT, f"{piece.place}: layers {layers} (expected {found.layers}, those of "
                                 f"{found.first.place})")
        if set(piece.arrays) != found.holds:
            raise Refusal(INPUT, f"{piece.place}: holds {', '.join(sorted(piece.arrays))} (expected "
                                 f"{', '.join(sorted(found.holds))}, as {found.first.place})")
        found.used = found.used | used
    if found is None:
        raise Refusal(INPUT, "nothing to import (expected at least one sequence)")
    if not found.used.any():
        raise Refusal(INPUT, f"{found.first.place}: every layer is 0 or -1 throughout (expected routing)")
    return found


def read_bias(path, layers, experts):
    """float32 [L, E]: an array, or what a model's safetensors have for the layers with these numbers."""
    if path.suffix == ".npy":
        with array_file(path):
            bias = np.load(path, allow_pickle=False)
    else:
        tensors = SafetensorsFile(path)
        names = {n: name for name in tensors if name.endswith(BIASES) for n in [_number(name)] if n is not None}
        missing = [layer for layer in layers if layer not in names]
        if missing:
            raise Refusal(INPUT, f"{path}: no selection bias of layer {missing[0]} (expected a tensor named like "
                                 f"layers.{missing[0]}.mlp.gate.{BIASES[0]})")
        bias = np.stack([tensors[names[layer]].reshape(-1) for layer in layers])
    if bias.shape != (len(layers), experts) or bias.dtype.kind != "f" or not np.isfinite(bias).all():
        raise Refusal(INPUT, f"{path}: a selection bias of shape {list(bias.shape)}, {bias.dtype} (expected finite "
                             f"floats [{len(layers)}, {experts}])")
    return bias.astype(np.float32)


def _number(name):
    digits = [word for word in name.split(".") if word.isdigit()]
    return int(digits[0]) if digits else None


def describe(options, first, layers, maker):
    """The description of a trace whose first piece is `first`, with these layers."""
    logits, ids = first.arrays.get("router_logits"), first.arrays.get("expert_ids")
    experts = options.experts if logits is None else logits.shape[2]
    top_k = options.top_k if ids is None else ids.shape[2]
    if experts is None or top_k is None:
        raise Refusal(USAGE, f"{'--experts' if experts is None else '--top-k'} is needed: the files do not say it")
    for option, given, found in (("--experts", options.experts, experts), ("--top-k", options.top_k, top_k)):
        if given not in (None, found):
            raise Refusal(USAGE, f"{option} {given} (expected {found}, as in {first.place})")
    if not 1 <= top_k <= experts <= 1024:
        raise Refusal(USAGE, f"top-{top_k} of {experts} experts (expected 1 <= k <= experts <= 1024)")
    kept = options.groups if options.top_k_groups is None else options.top_k_groups
    if not 1 <= kept <= options.groups or experts % options.groups or top_k > kept * (experts // options.groups):
        raise Refusal(USAGE, f"--groups {options.groups} --top-k-groups {kept} (expected groups that divide {experts} "
                             f"experts, and enough of them kept for top-{top_k})")
    if options.selection_bias and logits is None:
        raise Refusal(USAGE, "--selection-bias would change nothing (expected router logits, found chosen ids alone)")
    if options.groups > 1 and logits is None:
        raise Refusal(USAGE, "--groups would change nothing (expected router logits, found chosen ids alone)")
    bias = read_bias(options.selection_bias, layers, experts) if options.selection_bias else None
    rule = Rule(options.scoring, options.renormalize, experts, top_k, options.groups, kept)
    return Description(options.model, rule, options.shared_experts, options.source, options.licence, maker,
                       selection_bias=bias)


def check_ids(place, ids, rule, layers):
    """Expert ids [tokens, layers, k]: in range, none twice in one token and layer. `layers`: their numbers."""
    if ids.dtype.kind not in "iu":
        raise Refusal(INPUT, f"{place}: expert ids of type {ids.dtype} (expected integers)")
    if ids.ndim != 3 or ids.shape[2] != rule.top_k:
        raise Refusal(
            INPUT, f"{place}: expert ids have shape {list(ids.shape)} (expected [tokens, layers, {rule.top_k}])"
        )
    outside = (ids < 0) | (ids >= rule.experts)
    if outside.any():
        token, layer, rank = np.argwhere(outside)[0]
        raise Refusal(INPUT, f"{place}: expert id out of range at token {token}, layer {layers[layer]} (expected 0 to "
                             f"{rule.experts - 1}, found {ids[token, layer, rank]})")
    ordered = np.sort(ids, -1)
    twice = (ordered[..., 1:] == ordered[..., :-1]).any(-1)
    if twice.any():
        token, layer = np.argwhere(twice)[0]
        raise Refusal(INPUT, f"{place}: one expert twice at token {token}, layer {layers[layer]} (found "
                             f"{ids[token, layer].tolist()})")


def check_logits(place, logits, rule):
    """Router logits [tokens, layers, experts], finite, as float16 or float32."""
    if logits.ndim != 3 or logits.shape[2] != rule.experts:
        raise Refusal(
            INPUT, f"{place}: logits have shape {list(logits.shape)} (expected [tokens, layers, {rule.experts}])"
        )
    if logits.dtype.kind != "f":
        raise Refusal(INPUT, f"{place}: logits of type {logits.dtype} (expected floats)")
    if not np.isfinite(logits).all():
        raise Refusal(INPUT, f"{place}: NaN or infinite logit at {np.argwhere(~np.isfinite(logits))[0].tolist()}")
    return logits if logits.dtype in (np.float16, np.float32) else logits.astype(np.float32)


def agreeing_logits(place, logits, ids, weights, description, layers, notes):
    """`logits` [n, L, E], which have to choose `ids` [n, L, k] with gate weights `weights` under the stated rule."""
    rule, bias = description.rule, description.selection_bias
    stored, wrong = store_logits(rule, logits, ids, logits.dtype.type, bias)
    if wrong > TOLERATED * ids[..., 0].size:
        token, layer = np.argwhere(disagreements(rule, stored, ids, bias))[0]
        own = select(rule, stored, bias)[token, layer]
        raise Refusal(INPUT, f"{place}: ids and logits differ in {wrong} of {ids[..., 0].size} rows, first at token "
                             f"{token}, layer {layers[layer]} (ids {sorted(ids[token, layer].tolist())}, the logits "
                             f"choose {sorted(own.tolist())}; expected the same under --scoring, --groups and "
                             "--selection-bias of the model)")
    notes.count("{} rows whose logits choose other experts than their ids say (rounding)", wrong)
    if weights is not None:
        ours = gate_weights(rule, logits, ids)
        scale = (weights * ours).sum() / max((ours * ours).sum(), 1e-30)
        error = np.abs(weights - scale * ours).max(-1) > WEIGHT_ERROR * weights.max(-1)
        if error.mean() > TOLERATED:
            token, layer = np.argwhere(error)[0]
            raise Refusal(INPUT, f"{place}: expert_weights are not those of the logits at token {token}, layer "
                                 f"{layers[layer]} (found {weights[token, layer].tolist()}, the logits give "
                                 f"{(scale * ours[token, layer]).tolist()}; expected the model's --scoring and "
                                 "--renormalize)")
    return stored


def _absent(values, top_one):
    """[n] rows without routing in any layer. Where one expert is chosen, expert 0 in every layer is a choice as well:
    only at either end is it taken for a prefix from the cache or a token that was never run."""
    absent = _empty(values).all(1)
    if top_one:
        present = np.flatnonzero(~absent)
        if len(present):
            absent[present[0]:present[-1]] = (values[present[0]:present[-1]] == -1).all((1, 2))
    return absent


def _parts(piece, found, description, notes):
    """The arrays of a piece's runs of rows that were routed, in the types of a trace."""
    rule, layers = description.rule, [n for n, used in zip(found.layers, found.used) if used]
    arrays = {name: values[:, found.used] if values.ndim == 3 else values for name, values in piece.arrays.items()}
    routing = arrays.get("expert_ids", arrays.get("router_logits"))
    keep = np.flatnonzero(~_absent(routing, "expert_ids" in arrays and rule.top_k == 1))
    notes.count("{} rows without routing cut (0 or -1 in every layer: a cached prefix, or tokens that were never run)",
                len(routing) - len(keep))
    notes.count("{} tokens without a row cut (a cached prefix, or a request's last token)", piece.unrouted)
    positions = (np.arange(len(routing)) if piece.positions is None else np.asarray(piece.positions))[keep]
    runs = np.split(keep, np.flatnonzero(np.diff(positions) != 1) + 1)
    notes.count("{} sequences more: a sequence ends where rows are missing in its middle", len(runs) - 1)
    for run in runs:
        if not len(run):
            continue
        here = {name: values[run] for name, values in arrays.items()}
        ids, logits, weights = here.get("expert_ids"), here.get("router_logits"), here.get("expert_weights")
        if ids is not None:
            check_ids(piece.place, ids, rule, layers)
        if weights is not None and not (np.isfinite(weights) & (weights >= 0)).all():
            raise Refusal(INPUT, f"{piece.place}: expert_weights hold NaN, infinite or negative values")
        for name in ("token_ids", "phase"):
            if name in here and here[name].dtype.kind not in "biu":
                raise Refusal(INPUT, f"{piece.place}: {name} of type {here[name].dtype} (expected whole numbers)")
        out = {name: here[name].astype(kind) for name, kind in (("token_ids", np.int32), ("phase", np.uint8))
               if name in here}
        if logits is None:
            out["expert_ids"] = ids.astype(id_type(rule.experts))
            if weights is not None:
                out["expert_weights"] = weights.astype(np.float32)
        else:
            logits = check_logits(piece.place, logits, rule)
            out["router_logits"] = logits if ids is None else agreeing_logits(piece.place, logits, ids, weights,
                                                                              description, layers, notes)
        yield out


def write_trace(options, maker, pieces):
    """Writes the trace that `options` and the Pieces of `pieces()`, which is called twice, describe."""
    found = survey(pieces())
    numbers = [n for n, used in zip(found.layers, found.used) if used]
    description = describe(options, found.first, numbers, maker)
    empty = [n for n, used in zip(found.layers, found.used) if not used]
    if empty or found.first.layers is not None:
        description.layer_numbers = numbers
    notes = Notes()
    if empty:
        notes.say(f"{found.first.place}: layers {', '.join(map(str, empty))} left out: 0 or -1 in every row, so "
                  "placeholders of dense layers")
    with TraceWriter(options.output, description) as trace:
        for piece in pieces():
            for arrays in _parts(piece, found, description, notes):
                trace.append(piece.label or options.label, **arrays)
    notes.close(options.output)
