"""Writes traces (HDF5, schema `moecarlo-trace` 1), sequence by sequence: what capture and all importers share.

Memory holds one sequence at a time. A file appears under its name only when it is complete.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from .draft_groups import write_round_group
from .refusal import INPUT, Refusal
from .selection import Rule

CHUNK_BYTES = 1 << 19
LABEL = h5py.string_dtype("utf-8")


@dataclass
class Description:
    """What holds for a whole trace: its root attributes, and what it has per layer."""

    model: str
    rule: Rule
    num_shared_experts: int = 0
    source: str = ""
    licence: str = ""
    created_by: str = ""
    attributes: dict = field(default_factory=dict)  # further root attributes
    layer_numbers: object = None  # [L]
    selection_bias: object = None  # [L, E]
    model_config: str = ""  # the model's config.json


def _write_description(root, description):
    rule = description.rule
    root.attrs.update(
        schema="moecarlo-trace", schema_version=1, model=description.model, num_experts=rule.experts, top_k=rule.top_k,
        num_shared_experts=description.num_shared_experts, scoring=rule.scoring, renormalize=rule.renormalize)
    if rule.num_groups > 1:
        root.attrs.update(num_groups=rule.num_groups, top_k_groups=rule.top_k_groups)
    for name in ("source", "licence", "created_by"):
        if getattr(description, name):
            root.attrs[name] = getattr(description, name)
    root.attrs.update(description.attributes)
    if description.layer_numbers is not None:
        root["layer_numbers"] = np.asarray(description.layer_numbers, np.int32)
    if description.selection_bias is not None:
        root["selection_bias"] = np.asarray(description.selection_bias, np.float32)
    if description.model_config:
        root["model_config"] = description.model_config


class TraceWriter:
    """A trace that grows by whole sequences. As a context manager it is renamed into place unless there was an error.

    append() takes arrays per token, the same names for every sequence: `router_logits` [n, L, E] or `expert_ids`
    [n, L, k] with optional `expert_weights` [n, L, k]; optional `token_ids` [n], `phase` [n] (0 prefill, 1 decode) and
    `channel_magnitude` [n, L, H]; and `label`, a word for the sequence (stored as `sequence_label`, for people).
    """

    def __init__(self, path, description, channel_scale=None):
        self.path = Path(path)
        self.channel_scale = channel_scale  # [L] of `channel_magnitude`
        self.temporary = self.path.with_name(f".{self.path.name}.tmp-{os.getpid()}")
        self.file = h5py.File(self.temporary, "w")
        _write_description(self.file, description)
        self.offsets, self.labels, self.names = [0], [], None
        self.rounds = []  # importing.Rounds, their positions tokens of the file

    def append(self, label="", **arrays):
        arrays = {name: np.asarray(values) for name, values in arrays.items() if values is not None}
        if self.names is None:
            self.names = set(arrays)
            for name, values in arrays.items():
                self._create(name, values)
        if set(arrays) != self.names:
            raise Refusal(INPUT, f"{self.path}: sequence {len(self.labels)} has other parts than the first "
                                 f"(expected {sorted(self.names)}, found {sorted(arrays)})")
        tokens = {len(values) for values in arrays.values()}
        if len(tokens) != 1 or 0 in tokens:
            raise Refusal(INPUT, f"{self.path}: sequence {len(self.labels)} has parts of different lengths or none "
                                 f"(found {sorted(tokens)} tokens)")
        end = self.offsets[-1] + tokens.pop()
        for name, values in arrays.items():
            self.file[name].resize(end, axis=0)
            self.file[name][self.offsets[-1]:] = values
        self.offsets.append(end)
        self.labels.append(label)

    def _create(self, name, values):
        row = max(1, int(np.prod(values.shape[1:])) * values.dtype.itemsize)
        rows = max(1, min(4096, CHUNK_BYTES // row))
        self.file.create_dataset(name, (0, *values.shape[1:]), values.dtype, maxshape=(None, *values.shape[1:]),
                                 chunks=(rows, *values.shape[1:]), compression="gzip", compression_opts=6, shuffle=True)

    def close(self):
        if len(self.offsets) == 1:
            raise Refusal(INPUT, f"{self.path}: nothing to write (expected at least one sequence)")
        if self.rounds:
            columns = max(part.verify.shape[1] for part in self.rounds)
            wide = [np.pad(part.verify, ((0, 0), (0, columns - part.verify.shape[1]), (0, 0), (0, 0)), constant_values=-1)
                    for part in self.rounds]
            rest = [np.concatenate([getattr(part, name) for part in self.rounds])
                    for name in ("position", "drafted", "accepted")]
            write_round_group(self.file, *rest, np.concatenate(wide))
        if self.channel_scale is not None:
            self.file["channel_magnitude"].attrs["scale"] = np.float32(self.channel_scale)
        self.file["sequence_offsets"] = np.asarray(self.offsets, np.int64)
        if any(self.labels):
            self.file.create_dataset("sequence_label", data=self.labels, dtype=LABEL)
        self.file.close()
        replace(self.temporary, self.path)

    def discard(self):
        """Leaves nothing behind, unless close() has given the file its name."""
        if self.file:
            try:
                self.file.close()
            except OSError:
                pass  # no disk: the error on its way says so
        self.temporary.unlink(missing_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.close()
        finally:
            self.discard()


def replace(temporary, path):
    """Makes a finished temporary file durable and gives it its name."""
    with open(temporary, "rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)


def concatenate(parts, path, description, channel_scale=None):
    """Writes the sequences of trace files `parts` as one trace, a sequence at a time."""
    with TraceWriter(path, description, channel_scale) as whole:
        for part in parts:
            with h5py.File(part) as file:
                offsets = file["sequence_offsets"][:]
                labels = file["sequence_label"].asstr()[:] if "sequence_label" in file else [""] * (len(offsets) - 1)
                names = [name for name in ("router_logits", "expert_ids", "expert_weights", "token_ids", "phase",
                                       "channel_magnitude") if name in file]
                for s, label in enumerate(labels):
                    whole.append(label, **{name: file[name][offsets[s]:offsets[s + 1]] for name in names})


def id_type(experts):
    """The smallest stored type for expert ids."""
    return np.uint8 if experts <= 256 else np.uint16
