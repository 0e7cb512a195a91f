"""The way from what a file says to a trace, which all importers share.

A reader yields `Piece`s. Rows and layers that hold no routing (a dense layer, a cached prefix, a request's last token)
come as placeholders, 0 or -1 throughout: they are left out here, and how many is said.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from .keys import Notes
from .model_options import describe
from .refusal import INPUT, USAGE, Refusal
from .selection import disagreements, gate_weights, select, store_logits
from .trace_file import TraceWriter, id_type

TOLERATED = 1e-3  # share of rows in which ids and logits of one dump may differ: rounding; more means a wrong rule
WEIGHT_ERROR = 0.02  # of the largest gate weight of a row: bfloat16 and a few operations


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
    rounds: object = None  # Rounds, their positions rows of this piece
    model: str = ""  # what the file calls the model
    experts: int = None  # routed ones per layer, where the file says it beside the routing


def layers_of_files(pieces):
    """The Pieces of files that hold one layer each (`pieces`: a list a file), in the files' order."""
    first, *others = pieces
    for found in others:
        shapes = [[{name: values.shape for name, values in piece.arrays.items()} for piece in one] for one in (found, first)]
        if shapes[0] != shapes[1]:
            raise Refusal(INPUT, f"{found[0].place}: other shapes than {first[0].place} (expected the same sequences, "
                                 "a layer a file)")
    for parts in zip(*pieces):
        arrays = {name: np.concatenate([part.arrays[name] for part in parts], 1) if values.ndim == 3 else values
                  for name, values in parts[0].arrays.items()}
        yield replace(parts[0], arrays=arrays)


@dataclass
class Rounds:
    """A recorded speculative run: arrays [R], and [R, columns, L, k] with -1 in columns that were not drafted."""

    position: np.ndarray
    drafted: np.ndarray
    accepted: np.ndarray
    verify: np.ndarray

    def of(self, rows, offset, layers):
        """The rounds that start in `rows`, ascending, of a piece, with the first of these at `offset`."""
        at = np.minimum(np.searchsorted(rows, self.position), len(rows) - 1)
        here = rows[at] == self.position
        return Rounds((at + offset)[here], self.drafted[here], self.accepted[here], self.verify[here][:, :, layers])


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


def survey(pieces, numbers):
    """`numbers`: those of the layers, where pieces do not say them."""
    found = None
    for piece in pieces:
        _check_shapes(piece)
        used = ~_empty(_routing(piece)).all(0)
        if numbers and piece.layers not in (None, numbers):
            raise Refusal(USAGE, f"--layer-numbers {numbers} (expected {piece.layers}, as {piece.place} says)")
        layers = (numbers or range(len(used))) if piece.layers is None else piece.layers
        layers = [int(layer) for layer in layers]
        if len(layers) != len(used) or layers != sorted(set(layers)) or not 0 <= layers[0] <= layers[-1] < 1 << 31:
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


def check_ids(place, ids, rule, layers, zero):
    """Expert ids [tokens, layers, k]: in range, none twice in one token and layer. `layers`: their numbers; `zero`: how
    many experts past the others compute nothing, of which -1 may stand for any."""
    if ids.dtype.kind not in "iu":
        raise Refusal(INPUT, f"{place}: expert ids of type {ids.dtype} (expected integers)")
    if ids.ndim != 3 or ids.shape[2] != rule.top_k:
        raise Refusal(
            INPUT, f"{place}: expert ids have shape {list(ids.shape)} (expected [tokens, layers, {rule.top_k}])"
        )
    outside = (ids < (-1 if zero else 0)) | (ids >= rule.experts + zero)
    if outside.any():
        token, layer, rank = np.argwhere(outside)[0]
        raise Refusal(INPUT, f"{place}: expert id out of range at token {token}, layer {layers[layer]} (expected 0 to "
                             f"{rule.experts + zero - 1}, found {ids[token, layer, rank]}; --zero-experts states "
                             "experts that compute nothing)")
    ordered = np.sort(ids, -1)
    twice = ((ordered[..., 1:] == ordered[..., :-1]) & (ordered[..., 1:] >= 0)).any(-1)
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


def _parts(piece, found, description, zero, notes):
    """(rows, their arrays in the types of a trace) of a piece's runs of rows that were routed."""
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
            check_ids(piece.place, ids, rule, layers, zero)
        if weights is not None and not (np.isfinite(weights) & (weights >= 0)).all():
            raise Refusal(INPUT, f"{piece.place}: expert_weights hold NaN, infinite or negative values")
        for name in ("token_ids", "phase"):
            if name in here and here[name].dtype.kind not in "biu":
                raise Refusal(INPUT, f"{piece.place}: {name} of type {here[name].dtype} (expected whole numbers)")
        out = {name: here[name].astype(kind) for name, kind in (("token_ids", np.int32), ("phase", np.uint8))
               if name in here}
        if logits is None:
            out["expert_ids"] = ids.astype(np.int16 if zero else id_type(rule.experts))
            if weights is not None:
                out["expert_weights"] = weights.astype(np.float32)
        else:
            logits = check_logits(piece.place, logits, rule)
            out["router_logits"] = logits if ids is None else agreeing_logits(piece.place, logits, ids, weights,
                                                                              description, layers, notes)
        yield run, out


def write_trace(options, maker, pieces):
    """Writes the trace that `options` and the Pieces of `pieces()`, which is called twice, describe, and says what is in
    it."""
    found = survey(pieces(), options.layer_numbers)
    numbers = [n for n, used in zip(found.layers, found.used) if used]
    description = describe(options, found.first, numbers, maker)
    empty = [n for n, used in zip(found.layers, found.used) if not used]
    if empty or options.layer_numbers or found.first.layers is not None:
        description.layer_numbers = numbers
    notes = Notes()
    if empty:
        notes.say(f"{found.first.place}: layers {', '.join(map(str, empty))} left out: 0 or -1 in every row, so "
                  "placeholders of dense layers")
    with TraceWriter(options.output, description) as trace:
        for piece in pieces():
            for rows, arrays in _parts(piece, found, description, options.zero_experts, notes):
                if piece.rounds is not None:
                    trace.rounds.append(piece.rounds.of(rows, trace.offsets[-1], found.used))
                trace.append(piece.label or options.label, **arrays)
    notes.close(options.output)
    held = (len(trace.labels), "sequence"), (trace.offsets[-1], "token"), (len(numbers), "layer")
    print(f"{options.output}: " + ", ".join(f"{count} {what}{'s'[:count != 1]}" for count, what in held) +
          f", top-{description.rule.top_k} of {description.rule.experts} experts; next: moecarlo inspect {options.output}")
