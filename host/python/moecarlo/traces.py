"""Router traces (HDF5, schema moecarlo-trace 1): writing and reading them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Union

import h5py
import numpy as np
import pandas as pd

PathLike = Union[str, "os.PathLike[str]"]


def write_trace(path: PathLike, sequences: Sequence[np.ndarray[Any, Any]], num_experts: int, *, model: str = "my-model",
                scoring: str = "softmax", renormalize: bool = True, num_shared_experts: int = 0,
                top_k: int | None = None, logits: bool = False, labels: Sequence[str] | None = None,
                **attributes: Any) -> None:
    """Writes a trace of `sequences`: one array [tokens, layers, k] of expert ids each, or with `logits` one
    [tokens, layers, experts] of router logits (then `top_k` says how many are chosen).

    `labels` is one text a sequence, e.g. its domain; further `attributes` are stored as they are (source=..., licence=...).
    `moecarlo inspect` checks the rest.
    """
    if not sequences:
        raise ValueError("no sequence (expected at least one)")
    arrays = [np.asarray(each) for each in sequences]
    wrong = next((each.shape for each in arrays if each.ndim != 3 or each.shape[1:] != arrays[0].shape[1:]), None)
    if wrong is not None:
        raise ValueError(f"a sequence of shape {wrong} (expected three axes, the last two as in the first: "
                         f"{arrays[0].shape[1:]})")
    if logits and top_k is None:
        raise ValueError("top_k is missing (logits do not say how many experts are chosen)")
    if logits and arrays[0].shape[2] != num_experts:
        raise ValueError(f"{arrays[0].shape[2]} logits a layer (expected num_experts, {num_experts})")
    values = np.concatenate(arrays)
    zero = int(attributes.get("zero_computation_experts", 0))
    if not logits and (values.min() < -(zero > 0) or values.max() >= num_experts + zero):
        raise ValueError(f"expert ids from {values.min()} to {values.max()} (expected {-(zero > 0)} to "
                         f"{num_experts + zero - 1})")
    with h5py.File(path, "w") as trace:
        trace.attrs.update(schema="moecarlo-trace", schema_version=1, model=model, num_experts=num_experts,
                           top_k=int(top_k or arrays[0].shape[2]), num_shared_experts=num_shared_experts,
                           scoring=scoring, renormalize=renormalize, **attributes)
        if logits:
            trace["router_logits"] = values.astype(np.float16 if values.dtype == np.float16 else np.float32)
        else:
            trace["expert_ids"] = values.astype(np.int16)
        trace["sequence_offsets"] = np.cumsum([0, *map(len, arrays)]).astype(np.int64)
        if labels is not None:
            trace.create_dataset("sequence_label", data=list(labels), dtype=h5py.string_dtype())


class Trace:
    """A trace: attributes, and arrays with named axes as `arrays[name]` = (axes, values)."""

    AXES = {"expert_ids": ("token", "layer", "choice"), "expert_weights": ("token", "layer", "choice"),
            "router_logits": ("token", "layer", "expert"), "token_ids": ("token",), "phase": ("token",)}

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)
        with h5py.File(path, "r") as file:
            self.attributes = dict(file.attrs)
            self.offsets = file["sequence_offsets"][:].astype(np.int64)
            self._names = [name for name in self.AXES if name in file]
            self._has_bias = "selection_bias" in file

    def array(self, name: str) -> np.ndarray[Any, Any]:
        """An array by its name in the file; its axes are `Trace.AXES[name]`."""
        with h5py.File(self.path, "r") as file:
            values: np.ndarray[Any, Any] = file[name][:]
            return values

    @cached_property
    def expert_ids(self) -> np.ndarray[Any, Any]:
        """[token, layer, choice]; of logits the k largest, the lower id first on ties."""
        if "expert_ids" in self._names:
            return self.array("expert_ids")
        if self._has_bias or int(self.attributes.get("num_groups", 1)) > 1:
            raise ValueError(f"{self.path}: which experts these logits choose is for the program to say (groups or a bias)")
        order = np.argsort(-self.array("router_logits").astype(np.float32), axis=2, kind="stable")
        return order[:, :, :int(self.attributes["top_k"])]

    @property
    def choices(self) -> pd.DataFrame:
        """One row per token, layer and choice: sequence, token (in its sequence), layer, choice, expert.

        Choices of zero-computation experts are left out.
        """
        ids = self.expert_ids
        tokens, layers, k = ids.shape
        lengths = np.diff(self.offsets)
        sequence = np.repeat(np.arange(len(lengths)), lengths)
        place = np.arange(tokens) - np.repeat(self.offsets[:-1], lengths)
        index = np.indices(ids.shape).reshape(3, -1)
        rows = pd.DataFrame({"sequence": sequence[index[0]], "token": place[index[0]], "layer": index[1],
                             "choice": index[2], "expert": ids.ravel().astype(np.int32)})
        return rows[rows["expert"].between(0, int(self.attributes["num_experts"]) - 1)].reset_index(drop=True)
