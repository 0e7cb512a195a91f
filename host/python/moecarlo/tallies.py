"""The integer counts of a study (tallies.h5), as arrays with named axes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import h5py
import numpy as np

if TYPE_CHECKING:
    import xarray

PathLike = Union[str, "os.PathLike[str]"]

#: The axes of each array of a cell.
AXES = {
    "rounds": ("group",),
    "drafted": ("group",),
    "accepted_length": ("group", "accepted"),
    "distinct_histogram": ("layer", "distinct"),
    "unions_by_layer": ("layer", "union_count"),
    "unions_by_group": ("group", "union_count"),
    "points_by_layer": ("policy", "capacity", "layer", "point_count"),
    "points_by_group": ("policy", "capacity", "group", "point_count"),
}


@dataclass(frozen=True)
class Counts:
    """One array: its values, the name of each axis, and the labels along those that have any."""

    values: np.ndarray[Any, Any]
    axes: tuple[str, ...]
    labels: dict[str, list[Any]]

    def sel(self, **where: Any) -> Counts:
        """The part at these labels, or numbers along axes without: `sel(policy="lru", capacity=8, layer=0)`."""
        index: list[Any] = [slice(None)] * len(self.axes)
        for axis, label in where.items():
            place = self.axes.index(axis)
            index[place] = self.labels[axis].index(label) if axis in self.labels else label
        kept = tuple(axis for axis in self.axes if axis not in where)
        return Counts(self.values[tuple(index)], kept, {axis: self.labels[axis] for axis in kept if axis in self.labels})

    def sum(self, *axes: str) -> Counts:
        """Added up along the axes named."""
        kept = tuple(axis for axis in self.axes if axis not in axes)
        values = self.values.sum(axis=tuple(self.axes.index(axis) for axis in axes))
        return Counts(values, kept, {axis: self.labels[axis] for axis in kept if axis in self.labels})

    def xarray(self) -> xarray.DataArray:
        """The same as an xarray.DataArray (needs `pip install xarray`)."""
        import xarray

        return xarray.DataArray(self.values, dims=self.axes, coords=self.labels)


@dataclass(frozen=True)
class Cell:
    """What was counted at one batch and depth. `bits` and `alpha` are None where it holds for all of the study's."""

    batch: int
    depth: int
    bits: int | None
    independent: bool  #: a control: the drafts of the cell before it, on routing independent of them
    arrays: dict[str, Counts]
    alpha: float | None = None
    demand: str = "all"  #: what its columns ask of memory

    def __getitem__(self, name: str) -> Counts:
        return self.arrays[name]


class Tallies:
    """tallies.h5 of a study: `cells` with their `Counts`, and the file's `attributes`.

    Groups are those of the estimate first (`attributes["groups"]` of them), then those of the trace's replicates. A hit
    rate, by hand:

        cell = tallies.at(batch=1, depth=4)
        points = cell["points_by_layer"].sel(policy="lru", capacity=8).sum("layer")
        unions = cell["unions_by_layer"].sum("layer")
        points.sel(point_count="hits").values / unions.sel(union_count="distinct_experts").values
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)
        with h5py.File(path, "r") as file:
            self.attributes: dict[str, Any] = {name: plain(value) for name, value in file.attrs.items()}
            if self.attributes.get("schema") != "moecarlo-tallies":
                raise ValueError(f"{path}: not tallies (expected schema moecarlo-tallies, "
                                 f"found {self.attributes.get('schema')})")
            self.cells = self._cells(file)
            #: The cells of prefills, where the study has them: a request of a pass is a token of a chunk.
            self.prefill = self._cells(file["prefill"]) if "prefill" in file else []

    def __repr__(self) -> str:
        return f"Tallies({str(self.path)!r}): {len(self.cells)} cells"

    def __iter__(self) -> Iterator[Cell]:
        return iter(self.cells)

    def at(self, batch: int, depth: int, bits: int | None = None, alpha: float | None = None,
           demand: str | None = None) -> Cell:
        """The first cell of this batch and depth; of this number of bits and alpha where those have cells of their own,
        and of this demand where one is named."""
        for cell in self.cells:
            if (cell.batch, cell.depth) != (batch, depth) or cell.independent or cell.bits not in (None, bits):
                continue
            if (alpha is None or cell.alpha in (None, alpha)) and demand in (None, cell.demand):
                return cell
        asked = [f"batch {batch}, depth {depth}"]
        asked += [f"{bits} bits"] * bool(bits) + [f"alpha {alpha}"] * (alpha is not None)
        asked += [f"demand {demand}"] * bool(demand)
        raise KeyError("no cell at " + ", ".join(asked))

    def _cells(self, group: h5py.Group) -> list[Cell]:
        return [self._cell(group[name]) for name in sorted(group) if name.startswith("cell_")]

    def _cell(self, group: h5py.Group) -> Cell:
        layers = int(self.attributes["layers"])
        base = group["capacity_base"][:]
        labels: dict[str, list[Any]] = {
            "policy": plain(group.attrs["policies"]).split(),
            "capacity": [float(each) for each in base + group["capacity_extra_layers"][:] / layers],
            "union_count": (self.attributes["union_counts"] + " " + self.attributes.get("demand_counts", "")).split(),
            "point_count": self.attributes["point_counts"].split(),
        }
        arrays = {}
        for name, axes in AXES.items():
            values = group[name][:].astype(np.uint64)
            own: dict[str, list[Any]] = {}
            for axis, length in zip(axes, values.shape):
                known = labels.get(axis, [])
                if axis.endswith("_count"):  # behind the counts stand histograms, and what is kept apart by accepted length
                    known = known + [f"column_{i}" for i in range(len(known), length)]
                if len(known) == length:
                    own[axis] = known
            arrays[name] = Counts(values, axes, own)
        return Cell(int(group.attrs["batch"]), int(group.attrs["depth"]), int(group.attrs["bits"]) or None,
                    bool(group.attrs["acceptance_independent"]), arrays,
                    float(plain(group.attrs["alpha"])) if "alpha" in group.attrs else None,
                    plain(group.attrs.get("demand", "all")))


def plain(value: Any) -> Any:
    """An attribute as Python's own type."""
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if isinstance(value, np.generic) else value
