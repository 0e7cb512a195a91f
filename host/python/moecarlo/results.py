"""What a study gave, as DataFrames."""

from __future__ import annotations

import json
import os
from functools import cached_property
from pathlib import Path
from typing import Any, Union

import pandas as pd

from moecarlo.tallies import Tallies

PathLike = Union[str, "os.PathLike[str]"]

#: The columns on which `hardware` joins `points`.
DESIGN = ["batch", "depth", "policy", "capacity", "bits", "alpha", "demand"]


class Results:
    """The folder of a finished study.

    `points`, `hardware` and `sensitivity` have one row per figure, `summary` is summary.json as it stands. Half-widths
    are those of 95 % intervals: 0 is exact, NaN is not available.
    """

    def __init__(self, directory: PathLike) -> None:
        self.directory = Path(directory)
        if not (self.directory / "summary.json").is_file():
            raise FileNotFoundError(f"{self.directory}: no finished study (expected summary.json in it)")

    def __repr__(self) -> str:
        return f"Results({str(self.directory)!r})"

    def _table(self, name: str) -> pd.DataFrame:
        return pd.read_csv(self.directory / name)

    @cached_property
    def points(self) -> pd.DataFrame:
        """One row per design point and metric, with unit, value and both half-widths."""
        return self._table("points.csv")

    @cached_property
    def prefill(self) -> pd.DataFrame:
        """The same of prefills, a pass being a chunk; empty without [prefill]."""
        named = (self.directory / "prefill.csv").is_file()
        return self._table("prefill.csv") if named else self.points.iloc[:0]

    @cached_property
    def hardware(self) -> pd.DataFrame:
        """One row per system, scheme, design point and figure; empty without [hardware]."""
        return self._table("hardware.csv")

    @cached_property
    def sensitivity(self) -> pd.DataFrame:
        """Elasticities by constant, on the fastest row of each system and scheme."""
        return self._table("sensitivity.csv")

    @cached_property
    def summary(self) -> dict[str, Any]:
        summary: dict[str, Any] = json.loads((self.directory / "summary.json").read_text(encoding="utf-8"))
        return summary

    @cached_property
    def charts(self) -> dict[str, dict[str, Any]]:
        """The report's figures as data, by name: what figures/*.svg and `plot` draw."""
        file = self.directory / "figures" / "figures.json"
        charts: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
        return charts

    @cached_property
    def tallies(self) -> Tallies:
        """The integer counts that all else follows from."""
        return Tallies(self.directory / "tallies.h5")

    @property
    def notes(self) -> list[str]:
        """What is not available and why, a sentence each."""
        return list(self.summary["notes"])

    def metric(self, name: str) -> pd.DataFrame:
        """The points' rows of one metric."""
        rows = self.points[self.points["metric"] == name]
        if rows.empty:
            raise KeyError(f"{name} (expected one of {', '.join(sorted(self.points['metric'].unique()))})")
        return rows.drop(columns="metric").reset_index(drop=True)

    def joined(self) -> pd.DataFrame:
        """`hardware` with the metrics of each row's design point as columns."""
        wide = self.points.pivot_table(index=DESIGN, columns="metric", values="value", dropna=False, observed=True)
        wide = wide.dropna(how="all").reset_index()
        return self.hardware.merge(wide, on=DESIGN, how="left", validate="many_to_one")
