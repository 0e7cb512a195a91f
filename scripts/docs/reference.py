#!/usr/bin/env python3
"""Writes the reference pages (docs/reference) from what the program says of itself.

    reference.py build/cpu/moecarlo           writes them
    reference.py build/cpu/moecarlo --check   says which are not current, with status 1
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs/reference"
NOTE = "<!-- written by scripts/docs/reference.py: change the program's own descriptions, not this page -->\n"
TABLES = {
    "study": "What is simulated.",
    "grid": "Every combination of these lists is a design point.",
    "cache": "How fast memory is managed.",
    "draft": "The shape of the draft: a chain, or a tree.",
    "acceptance": "Which draft tokens are accepted. The keys are those of its model.",
    "demand": "Optional: what of the chosen experts is asked of memory. Lists are axes of the grid. A rule that drops any "
              "is lossy: every output shows the gate mass that it drops beside its numbers.",
    "prefetch": "Optional: what a predictor would fetch for a layer ahead of time, counted at each point and not done: the "
                "caches go on as if there were no prefetch. On the CPU.",
    "prefill": "Optional: the tokens before the decode tokens (phase 0 of the trace; all, where it marks none), run through "
               "the caches in chunks and counted apart: `prefill` of summary.json, prefill.csv. Exact, on the CPU.",
    "stop": "Optional: stop when the worst point is this well known.",
    "hardware": "Optional: time and energy on systems.",
}
KINDS = {"systems": "machines", "models": "transformer shapes", "schemes": "constants of ways of decoding",
         "reproductions": "what published tables were found to follow"}


def cell(text):
    return str(text).replace("|", "\\|").replace("\n", " ")


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell(each) for each in row) + " |" for row in lines) + "\n"


def option_rows(options):
    for option in options:
        value = "\\|".join(option["choices"]) or (option["type"] if option["takes_value"] else "")
        names = ", ".join(f"`{name}`" for name in option["names"])
        if option["positional"]:
            value = ""
        yield [names, value + (" ..." if option["several"] and value else ""),
               "required" if option["required"] else option["default"], option["description"]]


def options_table(options):
    lines = ["| option | value | default | |", "| --- | --- | --- | --- |"]
    lines += ["| " + " | ".join([row[0], row[1], *map(cell, row[2:])]) + " |" for row in option_rows(options)]
    return "\n".join(lines) + "\n"


def commands(told):
    parts = [NOTE, "# Commands\n", "`moecarlo COMMAND --help` says the same. Options of every command:\n",
             options_table(told["options"])]
    for command in told["commands"]:
        parts += [f"## {command['name']}\n", command["description"] + ".\n"]
        own = [option for option in command["options"] if "--help" not in option["names"]]
        if own:
            parts.append(options_table(own))
        parts.append("```\n" + command["example"] + "\n```\n")
    parts += ["## Exit status\n", table(["status", "meaning"], [[s["status"], s["meaning"]] for s in told["exit_statuses"]])]
    return "\n".join(parts)


def study(told):
    parts = [NOTE, "# Study files\n",
             "TOML. Unknown keys, wrong types, empty lists and impossible values are refused with their line; a list may be "
             "written as one value. `moecarlo init` writes a study that fits a trace.\n"]
    for name, meaning in TABLES.items():
        rows = [[f"`{key['key']}`", key["type"], key["default"], key["unit"], key["meaning"]]
                for key in told["study_keys"] if key["table"] == name]
        parts += [f"## [{name}]\n", meaning + "\n", table(["key", "type", "default", "unit", "meaning"], rows)]
    return "\n".join(parts)


def metrics(told):
    def rows(figures):
        return [[f"`{f['name']}`", f["unit"], f["definition"], f["denominator"] or "-", "yes" if f["per_layer"] else ""]
                for f in figures]

    header = ["name", "unit", "what is counted or computed", "divided by", "per layer"]
    return "\n".join([
        NOTE, "# Figures\n",
        "Numerators and denominators are summed over all rounds, requests and layers before one is divided by the other. "
        "Each value has two 95 % half-widths: `mc_half_width` for the noise of the simulation, `trace_half_width` for the "
        "trace being a sample of traffic; 0 is exact, empty is not available (the notes say why).\n",
        "## Of design points (points.csv, `points` of summary.json)\n", table(header, rows(told["metrics"])),
        "## Of hardware rows (hardware.csv, `hardware` of summary.json)\n", table(header, rows(told["hardware_figures"])),
        "`busy.RESOURCE` and `busy.PART.RESOURCE` are the share of a round or part that a unit or memory needs, "
        "`operations_per_byte.PART` that of one part, `band.low` and `band.high` the range of tokens per second that "
        "assumed constants leave (`evaluate --band`), `band.FIGURE.low` and `.high` that of another figure. "
        "`operations_per_byte.layers_FIRST_LAST.p50` is what the experts of one of these layers have in half of the "
        "verifications, `.p5` and `.p95` likewise (`operations_per_byte_by_layer` of summary.json).\n",
        "`breakdown.NAME` are means of one round: seconds of a part (`verify.experts`), seconds that one resource alone "
        "would need for it (`verify.experts.hb`), `bytes.TIER`, joules by category (`energy.CATEGORY`), their sums "
        "`seconds` and `joules`, `tokens`, and `seconds_at_means`, which a round would take if every pass were as the "
        "mean.\n"])


def presets(told):
    parts = [NOTE, "# Presets\n",
             "Each number of a preset has a unit, a status (published, derived, assumed, measured, fitted) and a source: "
             "`moecarlo systems NAME`. They are looked up in the folders of `$MOECARLO_PRESETS` first, then among "
             "those that ship.\n"]
    for kind, names in told["presets"].items():
        parts += [f"## {kind}\n", KINDS[kind].capitalize() + ": " + ", ".join(f"`{name}`" for name in names) + ".\n"]
    return "\n".join(parts)


def reproductions(told):
    rows = told["reproduced"]["rows"]
    parts = [NOTE, "# Published figures beside ours\n",
             "`moecarlo reproduce NAME` prints these rows (`--json` with the assumed constants of each), and with "
             "`--published FILE` other rows of the same columns; ELMoE-3D's table has [a page of its own]"
             "(../reproduction.md). A tolerance is relative; a row without one is a roof or a floor, which what is "
             "published may not be beyond. What cannot be judged rests on what nobody published: ours, if there is one, "
             "then hangs on assumed constants, or is what bandwidth alone would give.\n"]
    for name in dict.fromkeys(row["reproduction"] for row in rows):
        own = [row for row in rows if row["reproduction"] == name]
        verdicts = ["met", "missed", "cannot be judged"]
        counts = ", ".join(f"{sum(row['verdict'] == verdict for row in own)} {verdict}" for verdict in verdicts)
        parts += [f"## {name}\n", f"{counts}.\n"]
        parts.append(table(["", "", "published", "ours", "tolerance", ""], [
            [row["quantity"], row["conditions"], f"{row['published']:.4g} {'' if row['unit'] == 'ratio' else row['unit']}",
             "-" if row["ours"] is None else f"{row['ours']:.4g}",
             f"{100 * row['tolerance']:.3g} %" if row["tolerance"] else "",
             row["verdict"] + (f": {row['reason']}" if row["reason"] else "")] for row in own]))
    return "\n".join(parts)


PAGES = {"commands.md": commands, "study.md": study, "figures.md": metrics, "presets.md": presets,
         "reproductions.md": reproductions}


def asked(program, *arguments):
    return json.loads(subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    told = asked(options.program, "describe") | {"reproduced": asked(options.program, "reproduce", "all", "--json")}
    stale = []
    for name, write in PAGES.items():
        text = write(told).rstrip("\n") + "\n"
        if options.check and (not (FOLDER / name).is_file() or (FOLDER / name).read_text() != text):
            stale.append(name)
        if not options.check:
            (FOLDER / name).write_text(text)
    if stale:
        print(f"not current: {', '.join(stale)} (scripts/docs/reference.py {options.program} writes them)")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
