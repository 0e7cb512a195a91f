"""The report's figures once more, with matplotlib: for papers, in one or two columns.

The numbers are those of figures/figures.json, which the report's own pictures are drawn from.
"""

from __future__ import annotations

import argparse
import math
import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from moecarlo.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PathLike = Union[str, "os.PathLike[str]"]
Chart = dict[str, Any]

WIDTHS = {1: 3.5, 2: 7.16}  #: of a page's column, and of both with what is between them, in inches
KINDS = ("svg", "png", "pdf")
MARKERS = "os^Dv"
SCALE = ["#f0f6ea", "#badebe", "#5cb2bb", "#2474a8", "#163068"]  # light to dark, as the report's


def plot(results: Results | PathLike, name: str, *, columns: int = 1, title: bool = True) -> Figure:
    """The figure `name` ("hit_rate", "speedup", ...: `Results.charts` holds all), `columns` columns of a paper wide.

    `figure.savefig("hit_rate.pdf")` stores it; SVG and PNG as well.
    """
    from matplotlib.figure import Figure

    charts = (results if isinstance(results, Results) else Results(results)).charts
    if name not in charts:
        raise KeyError(f"{name} (expected one of {', '.join(charts)})")
    if columns not in WIDTHS:
        raise ValueError(f"columns={columns} (expected 1 or 2)")
    chart = charts[name]
    width = WIDTHS[columns]
    figure = Figure(figsize=(width, height_of(chart, width)), layout="constrained")
    DRAW[chart["kind"]](figure, chart)
    for axes in figure.axes:
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    if title:
        lines = [*textwrap.wrap(chart["title"], int(14 * width)), *textwrap.wrap(chart["subtitle"], int(18 * width))]
        figure.suptitle("\n".join(lines), fontsize=8, x=0.01, ha="left")
    return figure


def height_of(chart: Chart, width: float) -> float:
    if chart["kind"] == "bars":
        return 1.1 + 0.17 * sum(1 + len(group["bars"]) for group in chart["groups"])
    if chart["kind"] == "panels":
        return 0.8 + (0.36 if width > 5 else 0.55) * width * math.ceil(len(chart["panels"]) / 2)
    if chart["kind"] == "heat":
        return 1.5 + 0.3 * len(chart["rows"])
    return 0.8 * width if width < 5 else 0.5 * width


def lines(axes: Axes, chart: Chart) -> None:
    for series in chart["series"]:
        points = [point for point in series["points"] if None not in (point["x"], point["y"])]
        x, y = [point["x"] for point in points], [point["y"] for point in points]
        axes.plot(x, y, color=series["colour"], label=series["label"] or None, lw=1.2, ms=3,
                  ls="--" if series["dashed"] else "-",
                  marker=MARKERS[series["marker"] % len(MARKERS)] if series["marker"] >= 0 else None)
        if any(point["whisker"] for point in points):
            axes.errorbar(x, y, yerr=[point["whisker"] or 0 for point in points], fmt="none", capsize=1.5, lw=0.8,
                          ecolor=series["colour"])
        bands = [point["band"] if point["band"] is not None else math.nan for point in points]
        axes.fill_between(x, [a - b for a, b in zip(y, bands)], [a + b for a, b in zip(y, bands)],
                          color=series["colour"], alpha=0.18, lw=0)
        if points and all(point["floor"] is not None for point in points):
            axes.fill_between(x, [point["floor"] for point in points], y, color=series["colour"], alpha=0.1, lw=0)
    axes.set_xlabel(chart["x_title"], fontsize=7)
    axes.set_ylabel(chart["y_title"], fontsize=7)
    low, high = axes.get_ylim()
    axes.set_ylim(min(0, low), high)
    axes.grid(axis="y", lw=0.4, color="#e4e8ed")


def draw_line(figure: Figure, chart: Chart) -> None:
    axes = figure.add_subplot()
    lines(axes, chart)
    if any(series["label"] for series in chart["series"]):
        axes.legend(fontsize=6, frameon=False)


def draw_panels(figure: Figure, chart: Chart) -> None:
    rows = math.ceil(len(chart["panels"]) / 2)
    for place, panel in enumerate(chart["panels"]):
        axes = figure.add_subplot(rows, 2, place + 1)
        lines(axes, panel)
        axes.set_title(panel["title"], fontsize=7, loc="left")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    if labels:
        figure.legend(handles, labels, fontsize=6, frameon=False, loc="outside lower center", ncols=3)


def draw_bars(figure: Figure, chart: Chart) -> None:
    axes = figure.add_subplot()
    place, ticks, labels = 0.0, [], []
    for group in chart["groups"]:
        for number, bar in enumerate(group["bars"]):
            left = 0.0
            for segment in bar["segments"]:
                if segment["value"]:
                    axes.barh(place, segment["value"], left=left, height=0.8, color=segment["colour"])
                    left += segment["value"]
            for half, width in ((bar["outer_whisker"], 0.6), (bar["whisker"], 1.4)):
                if half:
                    axes.errorbar(left, place, xerr=half, fmt="none", ecolor="#1f2933", lw=width, capsize=1.5)
            reach = max(bar["outer_whisker"] or 0, bar["whisker"] or 0)
            axes.annotate(bar["note"], (max(0.0, left + reach), place), (3, 0), textcoords="offset points", va="center",
                          fontsize=5.5, color="#52606d")
            ticks.append(place)
            labels.append(" ".join(word for word in (group["label"] if number == 0 else "", bar["label"]) if word))
            place += 1
        place += 0.6
    axes.set_yticks(ticks, labels, fontsize=6)
    axes.invert_yaxis()
    axes.set_xlabel(chart["x_title"], fontsize=7)
    if chart["reference"] is not None:
        axes.axvline(chart["reference"], color="#1f2933", lw=0.8, ls=":")
    axes.margins(x=0.2)
    if chart["legend"]:
        from matplotlib.patches import Patch

        figure.legend(handles=[Patch(color=each["colour"], label=each["label"]) for each in chart["legend"]], fontsize=6,
                      frameon=False, loc="outside lower center", ncols=3)


def draw_columns(figure: Figure, chart: Chart) -> None:
    axes = figure.add_subplot()
    from_: list[float] = []
    for series in chart["series"]:
        values = [value or 0.0 for value in series["values"]]
        from_ += [0.0] * (len(values) - len(from_))
        axes.bar(range(len(values)), values, bottom=from_[:len(values)], color=series["colour"],
                 label=series["label"] or None)
        from_ = [a + b for a, b in zip(from_, values + [0.0] * (len(from_) - len(values)))]
    axes.set_xlabel(chart["x_title"], fontsize=7)
    axes.set_ylabel(chart["y_title"], fontsize=7)
    if any(series["label"] for series in chart["series"]):
        axes.legend(fontsize=6, frameon=False)


def draw_heat(figure: Figure, chart: Chart) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    axes = figure.add_subplot()
    width = max(len(row["values"]) for row in chart["rows"])
    values = [[math.nan if value is None else value for value in row["values"]]
              + [math.nan] * (width - len(row["values"])) for row in chart["rows"]]
    image = axes.imshow(values, aspect="auto", cmap=LinearSegmentedColormap.from_list("report", SCALE))
    axes.set_yticks(range(len(values)), [row["label"] for row in chart["rows"]])
    axes.set_xlabel(chart["x_title"], fontsize=7)
    bar = figure.colorbar(image, ax=axes, location="bottom", shrink=0.5)
    bar.set_label(chart["value_title"], fontsize=7)
    bar.ax.tick_params(labelsize=6)


DRAW = {"line": draw_line, "panels": draw_panels, "bars": draw_bars, "columns": draw_columns, "heat": draw_heat}


def main(arguments: Sequence[str] | None = None) -> None:
    """`moecarlo-plot DIR -o FOLDER`: every figure as SVG, PNG and PDF, in both widths."""
    parser = argparse.ArgumentParser(prog="moecarlo-plot", description="All figures of a study for a paper: SVG, PNG and "
                                     "PDF, as wide as one column (3.5 inches) and as two (7.16).")
    parser.add_argument("directory", metavar="DIR", help="folder of a finished study")
    parser.add_argument("-o", "--output", type=Path, default=Path("figures-for-paper"), help="folder to write")
    parser.add_argument("--force", action="store_true", help="write over figures that are there")
    parser.add_argument("--no-title", action="store_true", help="leave titles to the caption")
    options = parser.parse_args(arguments)
    try:
        results = Results(options.directory)
    except FileNotFoundError as error:
        parser.error(str(error))
    files = {(name, columns): [options.output / f"{name}-{columns}-column.{kind}" for kind in KINDS]
             for name in results.charts for columns in WIDTHS}
    there = next((file for three in files.values() for file in three if file.exists()), None)
    if there is not None and not options.force:
        parser.error(f"{there}: is there already (-o FOLDER writes others, --force these)")
    options.output.mkdir(parents=True, exist_ok=True)
    for (name, columns), three in files.items():
        figure = plot(results, name, columns=columns, title=not options.no_title)
        for file in three:
            figure.savefig(file, dpi=300)
