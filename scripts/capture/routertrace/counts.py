"""Tokens per expert and layer, {layer: int64 [experts]}, from files that hold counts and no routing."""

import os
import re

import numpy as np

from . import recorder
from .gguf_file import GgufFile
from .keys import check_keys, refuse_misspelt
from .refusal import INPUT, Refusal
from .trace_file import replace

EXACT = 1 << 24  # from here on float32 leaves whole numbers out
LARGEST = 1 << 53  # of a count that is exact as float64
EXPERTS = re.compile(r"^blk\.(\d+)\.(ffn_(?:gate|up|down|gate_up)_exps)\.weight\.counts$")
TENSOR = re.compile(r"^.+\.weight\.(?:in_sum2|in_sum|counts)$")
METADATA = ("general.type", "general.alignment", "general.architecture", "general.name", "imatrix.datasets",
            "imatrix.chunk_count", "imatrix.chunk_size")


def check(path, table):
    rows = list(table.values())
    if not rows or any(len(row) != len(rows[0]) for row in rows) or not 1 <= len(rows[0]) <= 1024:
        raise Refusal(INPUT, f"{path}: layers with {sorted({len(row) for row in rows})} experts (expected one number, 1 to "
                             "1024, in all layers)")
    if not any(row.any() for row in rows):
        raise Refusal(INPUT, f"{path}: every count is 0 (expected tokens)")


def write(path, table):
    """CSV: a line layer,0,1,...,E-1, then a row a layer, its number and the tokens of each expert."""
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    experts = len(next(iter(table.values())))
    lines = [["layer", *range(experts)], *([layer, *row.tolist()] for layer, row in sorted(table.items()))]
    try:
        temporary.write_text("".join(",".join(map(str, line)) + "\n" for line in lines))
        replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _evenness(shares):
    """Entropy of [..., experts], as a part of that of even shares."""
    return -(shares * np.log(np.maximum(shares, 1e-300))).sum(-1) / np.log(shares.shape[-1])


def _chosen(exponent, experts, top_k):
    """Shares of the ranks in `top_k` draws without replacement by weights rank^-exponent, as many draws have them: 1 -
    exp(-t weight), with t such that they sum to top_k (Rosen 1972)."""
    weights = np.arange(1, experts + 1.0) ** -exponent
    low, high = 0.0, 1.0
    while -np.expm1(-high * weights).sum() < top_k:
        low, high = high, 2 * high
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if -np.expm1(-middle * weights).sum() < top_k else (low, middle)
    return -np.expm1(-high * weights) / top_k


def zipf(table, top_k):
    """The exponent of `moecarlo synth` that makes loads as uneven as the table's: their entropy, mean over layers. None
    where every expert is chosen always."""
    rows = np.array([row / row.sum() for row in table.values()])
    if top_k >= rows.shape[1]:
        return None
    wanted, low, high = _evenness(rows).mean(), 0.0, 10.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _evenness(_chosen(middle, rows.shape[1], top_k)) > wanted else (low, middle)
    return high


def added(tables):
    """The sum of (path, table), such as those of several ranks."""
    total, first = None, None
    for path, found in tables:
        check(path, found)
        if total is None:
            total, first = found, path
            continue
        shapes = [(sorted(table), len(next(iter(table.values())))) for table in (found, total)]
        if shapes[0] != shapes[1]:
            raise Refusal(INPUT, f"{path}: layers {shapes[0][0]}, {shapes[0][1]} experts (expected {shapes[1][0]}, "
                                 f"{shapes[1][1]}, those of {first})")
        total = {layer: total[layer] + row for layer, row in found.items()}
    return total


def _table(path, values, notes):
    """Counts [layers, experts] or [passes, layers, experts], which are summed."""
    if not isinstance(values, np.ndarray) or values.ndim not in (2, 3) or 0 in values.shape \
            or values.dtype.kind not in "iuf":
        found = f"{list(values.shape)}, {values.dtype}" if isinstance(values, np.ndarray) else "no array"
        raise Refusal(INPUT, f"{path}: {found} (expected counts [layers, experts] or [passes, layers, experts])")
    if not ((values >= 0) & (values <= LARGEST) & (values == np.floor(values))).all():
        raise Refusal(INPUT, f"{path}: a count that is no whole number of tokens, 0 to 2^53")
    if values.dtype.kind == "f" and values.dtype.itemsize <= 4 and (values >= EXACT).any():
        notes.say(f"{path}: counts of 2^24 and more are inexact in {values.dtype}")
    values = values.astype(np.int64)
    if values.ndim == 3:
        empty = int((~values.any((1, 2))).sum())
        notes.say(f"{path}: {len(values)} passes summed" + (f", {empty} of them empty" if empty else ""))
        values = values.sum(0)
    return dict(enumerate(values))


def of_array(path, values, notes):
    return _table(path, values, notes)


def of_json(path, value, notes):
    check_keys(path, value, recorder.COUNTS, notes)
    if "logical_count" not in value:
        raise Refusal(INPUT, f"{path}: no logical_count (found {', '.join(sorted(value)) or 'nothing'})")
    try:
        values = np.array(value["logical_count"])
    except (ValueError, OverflowError):
        values = None
    return _table(path, values, notes)


def of_recorder(path, value, notes):
    """What torch.save was given: an array, the recorder's sum, or its passes."""
    if isinstance(value, np.ndarray):
        return _table(path, value, notes)
    if not isinstance(value, dict) or "records" in value and "logical_count" in value:
        raise Refusal(INPUT, f"{path}: no counts (expected an array, logical_count or records)")
    if "records" not in value:
        check_keys(path, value, (*recorder.COUNTS, *recorder.FILE), notes)
        return _table(path, value.get("logical_count"), notes)
    to_logical, records = recorder.passes(path, value, notes)
    notes.say(f"{path}: {recorder.MAPPED}")
    return dict(enumerate(sum(recorder.logical(to_logical, recorder.physical_counts(place, record, to_logical))
                              for place, record in records)))


def of_importance_matrix(path, notes):
    """The selections of each expert: those of its gate, up and down projection are the same ones."""
    file = GgufFile(path)
    if file.metadata.get("general.type") != "imatrix":
        raise Refusal(INPUT, f"{path}: general.type {str(file.metadata.get('general.type'))[:40]!r} (expected 'imatrix')")
    check_keys(path, file.metadata, METADATA, notes)
    found = {}
    for name in file.tensors:
        match = EXPERTS.match(name)
        if match:
            values = file.tensor(name)
            if values.ndim > 2 or values.size not in values.shape[:1]:
                raise Refusal(INPUT, f"{path}: {name} {list(values.shape)} (expected [experts, 1])")
            found.setdefault(int(match[1]), {})[match[2]] = values.reshape(-1)
        elif not TENSOR.match(name):
            refuse_misspelt(path, [name.rpartition(".")[2]], ("in_sum2", "in_sum", "counts"))
            notes.say(f"{path}: tensor {name!r} is not read")
    if not found:
        raise Refusal(INPUT, f"{path}: no counts of experts (expected tensors like blk.0.ffn_gate_exps.weight.counts)")
    for layer, by_projection in found.items():
        (first, values), *others = by_projection.items()
        for name, other in others:
            if not np.array_equal(values, other):
                raise Refusal(INPUT, f"{path}: blk.{layer}: counts of {first} and {name} differ (expected the same "
                                     "selections)")
    tables = {layer: _table(path, next(iter(by.values()))[None], notes)[0] for layer, by in found.items()}
    totals = {layer: int(row.sum()) for layer, row in tables.items()}
    if len(set(totals.values())) > 1:
        notes.say(f"{path}: layers with {min(totals.values())} to {max(totals.values())} selections (expected tokens x "
                  "k in each)")
    return tables
