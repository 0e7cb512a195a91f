#!/usr/bin/env python3
"""Every system on the same traffic with the same model: tokens a second, energy a token, loss, batch 1 to 16.

    results/systems/compare.py [--program build/cpu/moecarlo] [--work out/systems] [--trajectories N]

Runs a study of each of SYSTEMS on the trace that ships, all with the same random numbers, and writes systems.csv,
systems.md and systems.svg beside this file. Three error bars stand beside each figure: simulation, trace, and what moves
when every assumed constant of the machine does. README.md says what is alike and what is not.
"""

import argparse
import csv
import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import h5py
import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "scripts/lib"))
from studies import put_magnitudes, run, simulated  # noqa: E402

BATCHES = [1, 2, 4, 8, 16]
MODEL, CONTEXT, DEPTH, WIDTH, ALPHA, RETENTION = "gpt-oss-20b-int8", 1024, 4, 4, 0.7, 0.9
# What stands for each system: preset, scheme, demand, and whether its draft is a tree.
SYSTEMS = {
    "xPU": ("xpu", "ar", "all", False),
    "xPU, EAGLE": ("xpu", "eagle", "all", False),
    "xPU-PIM, EAGLE": ("xpu-pim", "eagle", "all", False),
    "xPU-LogicPIM, EAGLE": ("xpu-logicpim", "eagle", "all", False),
    "xPU-NMP, EAGLE": ("xpu-nmp", "eagle", "all", False),
    "HB-xPU, EAGLE": ("hb-xpu", "eagle", "all", False),
    "ELMoE-3D": ("elmoe3d-8gb", "elastic", "all", False),
    "SPEQ on HB-xPU": ("hb-xpu", "speq", "all", False),
    "SMoLPU without masks": ("smolpu", "eagle", "all", True),
    "SMoLPU": ("smolpu", "taer", "threshold(0.02, channels 0.05)", True),
    "EdgeXpert without masks": ("edgexpert", "eagle", "all", True),
    "EdgeXpert": ("edgexpert", "coalesce", "salient", True),
    "SliceMoE's device, whole experts": ("slicemoe-8gb", "ar", "all", False),
    "SliceMoE": ("slicemoe-8gb", "ar", "slices(0.25)", False),
    "RTX 4080": ("rtx4080-ddr5", "ar", "all", False),
    "MoBiLE on RTX 4080": ("rtx4080-ddr5", "ar", "half(unimportant 0.5)", False),
    "MoE-Spec on RTX 4080": ("rtx4080-ddr5", "eagle", "budget(8)", False),
    "Duplex": ("duplex-h100", "ar", "all", False),
    "SN40L": ("sn40l-socket", "ar", "all", False),
    "LLM in a flash": ("m1-max-flash", "ar", "all", False),
    "Cambricon-LLM": ("cambricon-l", "ar", "all", False),
    "MCBP's chip": ("mcbp", "ar", "all", False),
    "PIM-GPT": ("pim-gpt", "ar", "all", False),
    "Dovetail": ("dovetail-2080s", "eagle", "all", False),
    "Mirror-SD": ("gpu-npu", "slm", "all", False),
    "H100, EAGLE": ("h100-sxm", "eagle", "all", False),
    "GB10, EAGLE": ("gb10", "eagle", "all", False),
    "Strix Halo, EAGLE": ("strix-halo", "eagle", "all", False),
}
# Systems of the same papers that this comparison cannot hold.
ABSENT = {
    "SpecMoE": "distances between the experts of this trace's model are not shipped",
    "LLEP, MoEntwine": "experts over many devices: `moecarlo parallel`",
    "DFloat11, MCBP's coding": "formats of weights: `moecarlo bitslice`",
}
COLUMNS = ["name", "system", "scheme", "demand", "batch", "depth", "figure", "value", "mc_half_width", "trace_half_width",
           "band_low", "band_high", "dropped_mass", "perplexity_ratio", "lower_bound"]
FIGURES = ["tokens_per_second", "energy_mj_per_token"]


# ---- running ----

def with_magnitudes(target):
    """The trace that ships with input magnitudes by a stated law, which it lacks."""
    with h5py.File(ROOT / "datasets/reference.h5") as old, h5py.File(target, "w") as new:
        new.attrs.update({key: value for key, value in old.attrs.items() if key != "target_weights"})
        for name in ("router_logits", "sequence_offsets", "phase", "token_ids"):
            new[name] = old[name][:]
        put_magnitudes(new, old["router_logits"].shape[:2], "uneven")


DEMANDS = {"all": {}, "salient": {"rule": "salient"},
           "slices(0.25)": {"rule": "slices", "theta": 0.25},
           "threshold(0.02, channels 0.05)": {"rule": "threshold", "theta": 0.02, "channels": 0.05},
           "half(unimportant 0.5)": {"rule": "half", "unimportant": 0.5}, "budget(8)": {"rule": "budget", "experts": 8}}


def study_of(trace, entry, trajectories):
    """One system: all of them share seed and trace, hence the same random numbers."""
    system, scheme, demand, tree = entry
    if "channels" in demand:  # each takes several times as long
        trajectories //= 8
    tables = {"study": {"trace": str(trace), "trajectories": trajectories, "rounds": 8},
              "grid": {"batch": BATCHES, "depth": [0, DEPTH], "policy": ["lru"], "capacity": [8]},
              "acceptance": {"alpha": ALPHA},
              "demand": {**DEMANDS[demand], "loss": str(ROOT / "datasets/small-loss.json")},
              "hardware": {"model": MODEL, "context": CONTEXT, "systems": [system], "schemes": [scheme],
                           "reference": "none"}}
    if demand == "all":
        del tables["demand"]
    if demand.startswith("slices"):
        tables["cache"] = {"objects": "slices"}
        tables["grid"].update(bits=[4], capacity=[16])
    if tree:
        tables["draft"] = {"width": WIDTH, "sibling_routing": RETENTION}
    return tables


def run_study(arguments, number, entry):
    """The summary of a system's study, with bands; where the program refuses it, its reason."""
    output = arguments.work / str(number)
    banded = output.with_name(f"{number}-band")
    program = arguments.program.resolve()
    try:
        simulated(program, study_of(arguments.work / "reference.h5", entry, arguments.trajectories), output)
        run(program, "evaluate", output, "--band", "-o", banded, "--force")
    except subprocess.CalledProcessError as refused:
        return refused.stderr.strip().splitlines()[-1].rpartition(": ")[2].removesuffix(".)")
    return json.loads((banded / "summary.json").read_text())


# ---- what is compared ----

def rows_of(name, entry, summary):
    """A row for each batch and figure: of the depths that it can run the faster one. And why there is none."""
    system, scheme, demand, _ = entry
    if isinstance(summary, str):
        return [], summary
    rows, found = [], {}
    for row in summary["hardware"]:
        best = found.get(row["batch"])
        if best is None or row["tokens_per_second"]["value"] > best["tokens_per_second"]["value"]:
            found[row["batch"]] = row
    reasons = [f"batch {one['batch']}: {one['reason']}" if one.get("batch") else one["reason"]
               for one in summary["left_out"]]
    for batch, row in sorted(found.items()):
        lossy = row.get("lossy") or {}
        for figure in FIGURES:
            band = row.get("band") or {}
            band = band if figure == FIGURES[0] else band.get(figure, {})
            rows.append(dict(name=name, system=system, scheme=scheme, demand=demand, batch=batch, depth=row["depth"],
                             figure=figure, **{key: row[figure][key] for key in COLUMNS[7:10]},
                             band_low=band.get("low"), band_high=band.get("high"),
                             dropped_mass=lossy.get("dropped_mass", 0 if not lossy else None),
                             perplexity_ratio=lossy.get("perplexity_ratio", 1 if not lossy else None),
                             lower_bound=row.get("lower_bound", False)))
    return rows, "; ".join(dict.fromkeys(reasons))


def text(value, digits=3):
    return "-" if value is None else f"{value:.{digits}g}"


def table_of(rows, missing):
    """systems.md."""
    lines = [f"# All systems, same traffic, {date.today()}", "",
             "Made by `compare.py`; [README](README.md) says what is alike. tokens/s of all requests together, mJ a token; "
             "± simulation, ± trace, [band of assumed constants]; in brackets behind the name of a lossy system the "
             "perplexity of the small model, times.", ""]
    for batch in BATCHES:
        lines += [f"## Batch {batch}", "", "| system | depth | tokens/s | mJ/token | gate mass dropped |",
                  "|---|---|---|---|---|"]
        of_batch = [row for row in rows if row["batch"] == batch and row["figure"] == FIGURES[0]]
        for row in sorted(of_batch, key=lambda row: -row["value"]):
            energy = next(other for other in rows if other["figure"] == FIGURES[1] and other["batch"] == batch and
                          other["name"] == row["name"])
            cells = [f"{text(one['value'])} ± {text(one['mc_half_width'], 2)} ± {text(one['trace_half_width'], 2)} "
                     f"[{text(one['band_low'])} to {text(one['band_high'])}]" for one in (row, energy)]
            lossy = row["dropped_mass"] != 0
            name = f"{row['name']} ({text(row['perplexity_ratio'], 4)})" if lossy else row["name"]
            mass = f"{100 * row['dropped_mass']:.2g} %" if lossy and row["dropped_mass"] is not None else "0"
            lines.append(f"| {name} | {row['depth']} | {cells[0]} | {cells[1]} | {mass} |")
        lines.append("")
    lines += ["## Not here", "", *(f"* {name}: {why}" for name, why in {**missing, **ABSENT}.items())]
    return "\n".join(lines) + "\n"


# ---- the picture ----

COLOURS = ["#1b6ca8", "#b8442a", "#2b8a3e", "#7a3e9d", "#a67c00", "#0b7285", "#5f3dc4", "#c2255c"]
WIDTH_PX, HEIGHT_PX, MARGIN = 860, 620, 60


class Panel:
    """Energy over speed of one batch, both in powers of ten."""

    def __init__(self, rows):
        self.systems = {}
        for row in rows:
            self.systems.setdefault(row["name"], {})[row["figure"]] = row
        self.ranges, self.labels = [], []
        for figure in FIGURES:
            values = [pair[figure][key] for pair in self.systems.values() for key in ("value", "band_low", "band_high")]
            values = [value for value in values if value]
            self.ranges.append((np.log10(min(values)) - 0.1, np.log10(max(values)) + 0.1))

    def at(self, axis, value):
        low, high = self.ranges[axis]
        inside = ((WIDTH_PX, HEIGHT_PX)[axis] - 2 * MARGIN) * (np.log10(value) - low) / (high - low)
        return MARGIN + inside if axis == 0 else HEIGHT_PX - MARGIN - inside

    def frame(self, batch):
        middle = HEIGHT_PX / 2
        yield (f'<text x="{MARGIN}" y="24" font-weight="bold">batch {batch}</text>'
               f'<text x="{WIDTH_PX / 2}" y="{HEIGHT_PX - 8}" text-anchor="middle">tokens a second</text>'
               f'<text x="14" y="{middle}" transform="rotate(-90 14 {middle})" text-anchor="middle">mJ a token</text>'
               f'<rect x="{MARGIN}" y="{MARGIN}" width="{WIDTH_PX - 2 * MARGIN}" height="{HEIGHT_PX - 2 * MARGIN}" '
               'fill="none" stroke="#999"/>')
        for axis, (low, high) in enumerate(self.ranges):
            for power in range(int(np.ceil(low)), int(np.floor(high)) + 1):
                mark = self.at(axis, 10.0**power)
                place = (f'x="{mark:.1f}" y="{HEIGHT_PX - MARGIN + 16}" text-anchor="middle"' if axis == 0 else
                         f'x="{MARGIN - 6}" y="{mark:.1f}" text-anchor="end"')
                yield f"<text {place}>{10.0**power:g}</text>"

    def bars(self, pair, x, y, colour):
        """Thin: what assumptions move; thick: simulation and trace together."""
        for axis, figure in enumerate(FIGURES):
            one = pair[figure]
            error = (one["mc_half_width"] or 0) + (one["trace_half_width"] or 0)
            for low, high, thick in ((one["band_low"], one["band_high"], 1),
                                     (one["value"] - error, one["value"] + error, 4)):
                if not low or not high or low <= 0:
                    continue
                a, b = self.at(axis, low), self.at(axis, high)
                ends = (f'x1="{a:.1f}" y1="{y:.1f}" x2="{b:.1f}" y2="{y:.1f}"' if axis == 0 else
                        f'x1="{x:.1f}" y1="{a:.1f}" x2="{x:.1f}" y2="{b:.1f}"')
                yield f'<line {ends} stroke="{colour}" stroke-width="{thick}" opacity="0.4"/>'

    def label(self, name, x, y, colour):
        """Where no other name stands, as near as there is room."""
        length = 6.2 * len(name)
        for step in range(60):
            top = y - 5 + 6 * (step + 1 >> 1) * (-1)**step
            box = (x + 6, top - 10, x + 6 + length, top + 2)
            if all(box[2] < other[0] or other[2] < box[0] or box[3] < other[1] or other[3] < box[1]
                   for other in self.labels):
                break
        self.labels.append(box)
        return f'<text x="{x + 6:.1f}" y="{top:.1f}" fill="{colour}">{name}</text>'

    def draw(self, batch):
        yield from self.frame(batch)
        for number, (name, pair) in enumerate(self.systems.items()):
            colour = COLOURS[number % len(COLOURS)]
            x, y = (self.at(axis, pair[figure]["value"]) for axis, figure in enumerate(FIGURES))
            yield from self.bars(pair, x, y, colour)
            fill = colour if pair[FIGURES[0]]["dropped_mass"] == 0 else "white"
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}" stroke="{colour}"/>'
            yield self.label(name, x, y, colour)


def picture(rows):
    """Batch 1 above batch 16: hollow where lossy."""
    parts = []
    for place, batch in enumerate((BATCHES[0], BATCHES[-1])):
        panel = Panel([row for row in rows if row["batch"] == batch])
        parts += [f'<g transform="translate(0 {place * HEIGHT_PX})">', *panel.draw(batch), "</g>"]
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PX} {2 * HEIGHT_PX}" font-family="sans-serif" '
            'font-size="11"><rect width="100%" height="100%" fill="white"/>' + "\n".join(parts) + "</svg>\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=ROOT / "build/cpu/moecarlo")
    parser.add_argument("--work", type=Path, default=ROOT / "out/systems")
    parser.add_argument("--trajectories", type=int, default=2048)
    arguments = parser.parse_args()
    arguments.work = arguments.work.resolve()
    arguments.work.mkdir(parents=True, exist_ok=True)
    with_magnitudes(arguments.work / "reference.h5")
    rows, missing = [], {}
    for number, (name, entry) in enumerate(SYSTEMS.items()):
        found, why = rows_of(name, entry, run_study(arguments, number, entry))
        print(f"{name}: {len(found)} rows{', ' + why if why else ''}", flush=True)
        rows += found
        if why:
            missing[name] = why
    with open(HERE / "systems.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({key: f"{value:.5g}" if isinstance(value, float) else value for key, value in row.items()})
    (HERE / "systems.md").write_text(table_of(rows, missing), encoding="utf-8")
    (HERE / "systems.svg").write_text(picture(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
