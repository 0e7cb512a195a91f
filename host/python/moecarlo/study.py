"""Study files: tables of keys, as `moecarlo simulate` reads them."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PathLike = Union[str, "os.PathLike[str]"]
Value = Union[str, int, float, bool, Sequence[Any], Mapping[str, Any]]

TABLES = ("grid", "cache", "draft", "acceptance", "demand", "prefetch", "prefill", "stop", "hardware")
PATHS = (("study", "trace"), ("acceptance", "profile"), ("demand", "distances"), ("demand", "loss"),
         ("hardware", "bit_slices"))


def toml_value(value: Value) -> str:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if hasattr(value, "tolist"):  # NumPy's numbers and arrays
        value = value.tolist()
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is no number of a study")
        return repr(value)
    if isinstance(value, (str, bool, int)):
        return json.dumps(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml_value(each)}" for key, each in value.items()) + " }"
    return "[" + ", ".join(toml_value(each) for each in value) + "]"


@dataclass
class Study:
    """A study: the trace, a table of each kind, and the keys of [study] (seed=1, trajectories=20000, mode="random", ...).

    The keys, their units and defaults are those of study files (docs/reference/study.md); the program checks them when
    the study is run, and has a default for each that is left out but `trace`, `grid["capacity"]` and `acceptance`.
    """

    trace: str
    grid: dict[str, Value]
    acceptance: dict[str, Value]
    cache: dict[str, Value] = field(default_factory=dict)
    draft: dict[str, Value] = field(default_factory=dict)
    demand: dict[str, Value] = field(default_factory=dict)
    prefetch: dict[str, Value] = field(default_factory=dict)
    prefill: dict[str, Value] = field(default_factory=dict)
    stop: dict[str, Value] = field(default_factory=dict)
    hardware: dict[str, Value] = field(default_factory=dict)
    keys: dict[str, Value] = field(default_factory=dict)

    def __init__(self, trace: PathLike, grid: Mapping[str, Value], acceptance: Mapping[str, Value], *,
                 cache: Mapping[str, Value] | None = None, draft: Mapping[str, Value] | None = None,
                 demand: Mapping[str, Value] | None = None, prefetch: Mapping[str, Value] | None = None,
                 prefill: Mapping[str, Value] | None = None, stop: Mapping[str, Value] | None = None,
                 hardware: Mapping[str, Value] | None = None, **keys: Value) -> None:
        self.trace = os.fspath(trace)
        self.grid, self.acceptance = dict(grid), dict(acceptance)
        self.cache, self.draft = dict(cache or {}), dict(draft or {})
        self.demand, self.prefetch, self.prefill = dict(demand or {}), dict(prefetch or {}), dict(prefill or {})
        self.stop, self.hardware = dict(stop or {}), dict(hardware or {})
        self.keys = keys

    @classmethod
    def read(cls, path: PathLike) -> Study:
        """A study file; its relative paths become absolute ones."""
        path = Path(path)
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        for table, key in PATHS:
            if key in tables.get(table, {}):
                tables[table][key] = str(path.absolute().parent / tables[table][key])
        keys = dict(tables.pop("study"))
        return cls(keys.pop("trace"), **tables, **keys)

    def toml(self) -> str:
        """The text of the study file. A relative trace is taken from the working directory."""
        tables = {"study": {"trace": str(Path(self.trace).absolute()), **self.keys}}
        tables |= {name: getattr(self, name) for name in TABLES if getattr(self, name)}
        lines: list[str] = []
        for name, table in tables.items():
            lines += [f"[{name}]", *(f"{key} = {toml_value(value)}" for key, value in table.items()), ""]
        return "\n".join(lines)

    def write(self, path: PathLike) -> None:
        Path(path).write_text(self.toml(), encoding="utf-8")
