"""Files of SGLang's expert distribution recorder: routing of tokens (per_token), or counts (per_pass, stat)."""

import itertools

import numpy as np

from .importing import Piece
from .keys import check_keys
from .refusal import INPUT, Refusal

FILE = ("records", "last_physical_to_logical_map")
COUNTS = ("rank", "logical_count", "average_utilization_rate_over_window")
PASS = ("forward_pass_id", "rank", "gatherer_key", "global_physical_count")
TOKENS = ("input_ids", "positions", "extend_seq_lens", "forward_mode", "misc_objects", "topk_ids_of_layer")
EXTEND, DECODE, MIXED = 1, 2, 3
MAPPED = "physical experts are mapped by the file's last map; passes before a rebalancing had another"
STREAMS = ("no request is named: sequences follow positions, and end where more than one request may go on")


def _whole(place, name, values, shape):
    """An array of whole numbers; None in `shape` is any extent."""
    try:
        values = np.asarray(values)
    except (ValueError, OverflowError):
        values = np.empty(0)
    fits = values.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, values.shape))
    if not fits or values.dtype.kind not in "iu" and values.size:
        raise Refusal(INPUT, f"{place}: {name} {list(values.shape)}, {values.dtype} (expected whole numbers of shape "
                             f"{['any' if n is None else n for n in shape]})")
    return values.astype(np.int64)


def passes(path, value, notes):
    """(map [L, P], [(place, record)] in the order of the passes) of a file with records."""
    check_keys(path, value, FILE, notes)
    records = value.get("records")
    if not isinstance(records, list) or not records or not all(isinstance(record, dict) for record in records):
        raise Refusal(INPUT, f"{path}: no records (expected a list of passes)")
    to_logical = _whole(path, FILE[1], value.get(FILE[1]), (None, None))
    if to_logical.size == 0 or to_logical.min() < 0 or to_logical.max() >= 1024:
        raise Refusal(INPUT, f"{path}: {FILE[1]} {list(to_logical.shape)} (expected logical experts 0 to 1023)")
    found = {}
    for number, record in enumerate(records):
        place = f"{path}: record {number}"
        check_keys(place, record, (*PASS, *TOKENS), notes)
        key = record.get("forward_pass_id"), record.get("gatherer_key", "primary")
        if type(key[0]) is not int or type(key[1]) is not str:
            raise Refusal(INPUT, f"{place}: no forward_pass_id (expected a number)")
        if key in found:
            raise Refusal(INPUT, f"{place}: pass {key[0]} ({key[1]}) comes twice")
        found[key] = place, record
    if len({record.get("rank") for _, record in found.values() if type(record.get("rank")) is int}) > 1:
        raise Refusal(INPUT, f"{path}: records of several ranks (expected one, a file a rank)")
    return to_logical, [found[key] for key in sorted(found)]


def physical_counts(place, record, to_logical):
    counts = _whole(place, "global_physical_count", record.get("global_physical_count"), to_logical.shape)
    if (counts < 0).any():
        raise Refusal(INPUT, f"{place}: a count below 0 in global_physical_count")
    return counts


def logical(to_logical, counts):
    """Counts [L, P] of physical experts as [L, E] of logical ones."""
    summed = np.zeros((len(to_logical), to_logical.max() + 1), np.int64)
    np.add.at(summed, (np.arange(len(to_logical))[:, None], to_logical), counts)
    return summed


def _segments(place, record, tokens):
    """(positions, phase) of the runs of one pass."""
    mode, lengths = record.get("forward_mode"), record.get("extend_seq_lens")
    if mode == DECODE:
        lengths = [1] * tokens
    elif mode not in (EXTEND, MIXED) or lengths is None:
        raise Refusal(INPUT, f"{place}: forward_mode {mode if type(mode) is int else 'absent'} (expected 2, decode, or 1, "
                             "extend, or 3, mixed, with extend_seq_lens; passes of speculation are not read)")
    lengths = _whole(place, "extend_seq_lens", lengths, (None,))
    if (lengths < 0).any() or lengths.sum() != tokens:
        raise Refusal(INPUT, f"{place}: extend_seq_lens of {lengths.sum()} tokens (expected {tokens})")
    ends = np.cumsum(lengths)
    # A mixed pass has the running requests after the chunk, as runs of one token.
    return [(begin, end, int(mode == DECODE or mode == MIXED and end - begin == 1))
            for begin, end in zip(ends - lengths, ends) if end > begin]


def _routing(place, record, to_logical):
    """Logical ids [tokens, L, 8] of one pass; -1 past k."""
    physical = _whole(place, "topk_ids_of_layer", record.get("topk_ids_of_layer"), (len(to_logical), None, None))
    slots = to_logical.shape[1]
    if physical.size and not -1 <= physical.min() <= physical.max() < slots:
        raise Refusal(INPUT, f"{place}: a physical expert out of range in topk_ids_of_layer (expected -1 to "
                             f"{slots - 1})")
    if "global_physical_count" in record:
        own = np.stack([np.bincount(ids[ids >= 0], minlength=slots) for ids in physical])
        if (own > physical_counts(place, record, to_logical)).any():
            raise Refusal(INPUT, f"{place}: topk_ids_of_layer and global_physical_count differ (expected no more ids "
                                 "than were counted)")
    layers = np.arange(len(to_logical))[:, None, None]
    return np.where(physical < 0, -1, to_logical[layers, physical]).transpose(1, 0, 2)


def _runs(place, record, to_logical):
    """The runs of tokens of one record, a request each: [(position, phase, token id, ids [L, 8])]."""
    ids = _routing(place, record, to_logical)
    positions, tokens = (_whole(place, name, record.get(name), (len(ids),)) for name in ("positions", "input_ids"))
    for begin, end, phase in _segments(place, record, len(ids)) if len(ids) else ():
        if (np.diff(positions[begin:end]) != 1).any():
            raise Refusal(INPUT, f"{place}: positions of one request do not ascend by 1")
        yield [(int(positions[i]), phase, int(tokens[i]), ids[i]) for i in range(begin, end)]


def _sequences(path, value, notes):
    """(sequences, logical experts): runs put together where one alone ends before the position at which one alone
    begins. A pass that decodes holds every running request: what is not in it has ended."""
    to_logical, records = passes(path, value, notes)
    sequences, running = [], []
    for _, one_pass in itertools.groupby(records, lambda found: found[1]["forward_pass_id"]):
        one_pass = list(one_pass)  # more than one record where micro-batches overlap
        runs = [run for place, record in one_pass for run in _runs(place, record, to_logical)]
        ends, starts = ([rows[at][0] for rows in rows_of] for rows_of, at in ((running, -1), (runs, 0)))
        now = []
        for start in starts:
            if starts.count(start) == 1 and ends.count(start - 1) == 1:
                now.append(running[ends.index(start - 1)])
            else:
                sequences.append([])
                now.append(sequences[-1])
        for sequence, run in zip(now, runs):
            sequence += run
        decodes = any(record.get("forward_mode") != EXTEND for _, record in one_pass) and runs
        running = now + ([] if decodes else [one for one in running if not any(one is other for other in now)])
    notes.say(f"{path}: {MAPPED}")
    notes.say(f"{path}: {STREAMS}")
    return sequences, int(to_logical.max()) + 1


def pieces(path, value, notes):
    sequences, experts = _sequences(path, value, notes)
    top_k = max((int((ids >= 0).sum(-1).max()) for rows in sequences for *_, ids in rows), default=0)
    if top_k == 0:
        raise Refusal(INPUT, f"{path}: no routing in topk_ids_of_layer (expected ids, found -1 alone)")
    for rows in sequences:
        ids = np.stack([row[-1] for row in rows])
        if (ids[..., top_k:] >= 0).any():
            raise Refusal(INPUT, f"{path}: ids past column {top_k} of topk_ids_of_layer (expected -1 past k)")
        arrays = dict(expert_ids=ids[..., :top_k], token_ids=np.array([row[2] for row in rows]),
                      phase=np.array([row[1] for row in rows]))
        yield Piece(str(path), arrays, experts=experts)
