"""routecap: a ring of decode steps as an .npz, `ids` int16 [steps, routers, maxrows * k], -1 where a step has fewer
rows. Steps wider than `maxrows`, a prompt's as a rule, are not in it. A step of more than one row verifies a draft."""

import numpy as np

from .importing import Piece, Rounds
from .keys import check_keys
from .refusal import INPUT, Refusal
from .requests import number

KEYS = ("ids", "steps", "nlayer", "topk", "maxrows", "ring", "ctr", "lost_to_wrap")
STREAM = ("rows in the order of their steps are taken as one sequence, which ends where a step is missing (the file names "
          "no request, and leaves out steps wider than maxrows)")
ACCEPTED = ("what was accepted is not recorded, so all of it counts as accepted: their demand is exact, tokens per round "
            "are the most there can have been")
HEAD = 48  # the router of the MTP head in the engine that writes these files


def is_one(names):
    return len(set(names) & set(KEYS)) >= 3


def _order(path, steps, count):
    """(order of the steps, how many gaps there are before each)."""
    if steps.shape != (count,) or steps.dtype.kind not in "iu" or len(np.unique(steps)) != count:
        raise Refusal(INPUT, f"{path}: steps {list(steps.shape)}, {steps.dtype} (expected {count} different whole "
                             "numbers)")
    order = np.argsort(steps)
    return order, np.concatenate([[0], np.cumsum(np.diff(steps[order]) != 1)])


def _rounds(path, ids, whole, some, notes):
    """The steps [steps, rows, layers, k] as verify passes: first row the last accepted token, the others its draft."""
    count = some.sum(1)
    complete = (whole == (np.arange(some.shape[1]) < count[:, None])).all(1) & (count > 0)
    if count.max() == 1:
        return None  # no step verifies anything
    notes.say(f"{path}: {complete.sum()} steps kept as rounds too; {ACCEPTED}")
    if (~complete).any():
        notes.say(f"{path}: {(~complete).sum()} steps are no round, as rows or layers are missing in them")
    drafted = (count[complete] - 1).astype(np.int32)
    first = (np.cumsum(whole) - 1).reshape(whole.shape)[:, 0]
    return Rounds(first[complete], drafted, drafted, ids[complete, :count.max()])


def pieces(path, arrays, notes):
    check_keys(path, arrays, KEYS, notes)
    missing = [name for name in KEYS if name not in arrays]
    if missing:
        raise Refusal(INPUT, f"{path}: no {missing[0]} (expected {', '.join(KEYS)})")
    layers, top_k, rows, ring, counter, lost = (number(path, arrays, (name,)) for name in KEYS[2:])
    ids = arrays["ids"]
    if ids.ndim == 3 and ids.shape[1] == layers + 1:
        ids = ids[:, :layers]
        notes.say(f"{path}: router {layers} left out: {layers} layers, so it is that of the MTP head")
    elif layers == HEAD + 1:
        notes.say(f"{path}: router {HEAD} is read as a layer; in the engine that writes these files it is the MTP head's")
    if ids.ndim != 3 or 0 in ids.shape or ids.dtype.kind not in "iu" or ids.shape[1:] != (layers, rows * top_k):
        raise Refusal(INPUT, f"{path}: ids {list(ids.shape)}, {ids.dtype} (expected whole numbers [steps, {layers}, "
                             f"{rows} x {top_k}])")
    if len(ids) > ring or len(ids) + lost > counter:
        raise Refusal(INPUT, f"{path}: {len(ids)} steps, {lost} lost to wrap (expected {ring} in the ring and {counter} "
                             "in all at most)")
    order, gaps = _order(path, arrays["steps"], len(ids))
    ids = ids[order].reshape(len(ids), layers, rows, top_k).transpose(0, 2, 1, 3)
    filled = (ids != -1).all(-1)
    if ((ids != -1).any(-1) != filled).any():
        raise Refusal(INPUT, f"{path}: a row of ids that is -1 in part (expected {top_k} ids or -1 throughout)")
    whole, some = filled.all(-1), filled.any(-1)
    if lost:
        notes.say(f"{path}: {lost} steps were lost as the ring wrapped")
    if (some & ~whole).any():
        notes.say(f"{path}: {(some & ~whole).sum()} of {some.sum()} tokens cut: they lack a layer that others have")
    notes.say(f"{path}: {STREAM}")
    if not whole.any():
        raise Refusal(INPUT, f"{path}: no routing in it")
    places = np.cumsum(some).reshape(some.shape) + gaps[:, None]  # a number is left out where a step is missing
    yield Piece(str(path), {"expert_ids": ids[whole]}, positions=places[whole],
                rounds=_rounds(path, ids, whole, some, notes))
