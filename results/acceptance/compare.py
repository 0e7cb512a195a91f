#!/usr/bin/env python3
"""How far speed-ups predicted from one acceptance rate are from those of measured acceptance.

    results/acceptance/compare.py [--program build/cpu/moecarlo] [--work out/acceptance] [--trajectories N]

Runs study.toml under four models of acceptance, at each number of bits, and writes comparison.csv and comparison.md
beside this file:

    captured   each token's measured acceptance, between the measured shares of resident experts and at the draft's bits
    coverage   logit P(accept) = b0 + b1 x resident gate mass, fitted to the same measurements at the draft's bits
    ratio      E[a] / depth = one alpha at every design: captured's at the REFERENCE design
    constant   one alpha for every token and design: the mean over the measured grid

and a fifth that needs no run: `own alpha`, the mean of captured's acceptance at each design, as if it were the same for
every token.
"""

import argparse
import csv
import json
import math
import re
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
BITS = [2, 3, 4]
HB_GIB = 8  # of the system in study.toml, of which [hardware.vary] scales the capacity
REFERENCE = dict(figure="speedup", policy="static", batch=1, bits=4, memory=8, depth=4)
# `memory`: share of the experts that is resident for an accepted length, GiB of hybrid-bonded DRAM for a speed-up.
DESIGN = ["figure", "policy", "batch", "bits", "memory", "depth"]
COLUMNS = ["model", *DESIGN, "share", "value", "mc_half_width", "trace_half_width", "error", "error_half_width"]
MODELS = ["captured", "coverage", "ratio", "constant", "own alpha"]


# ---- reading and running ----

def with_model(study, bits, acceptance):
    """The study's text at this number of bits with this table [acceptance]; its paths stay valid anywhere."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in acceptance.items()]
    text = re.sub(r"(?m)^bits = .*$", f"bits = [{bits}]", study)
    text = re.sub(r"\[acceptance\]\n(?:[^\[\n]+\n)+", "[acceptance]\n" + "\n".join(lines) + "\n", text)
    return re.sub(r'(?m)^(trace = )"([^"]*)"',
                  lambda match: f'{match[1]}"{(HERE / match[2]).resolve()}"', text)


def rows_of(summary, model):
    """Accepted lengths of the grid's points, and speed-ups over the xPU without a draft. `tokens`: of a round."""
    experts = summary["trace"]["experts"]
    rows = []
    for point in summary["points"]:
        if point["depth"] == 0 or point["implied"]:
            continue
        share, length = point["capacity"] / experts, point["metrics"]["accepted_length"]
        rows.append(dict(model=model, figure="accepted_length", policy=point["policy"], batch=point["batch"],
                         bits=point["bits"], memory=share, depth=point["depth"], share=share,
                         tokens=1 + length["value"], **length))
    for one in summary["hardware"]:
        if one["scheme"] != "elastic":
            continue
        tokens = one["tokens_per_second"]["value"] * one["breakdown"]["seconds"] / one["batch"]
        rows.append(dict(model=model, figure="speedup", policy=one["policy"], batch=one["batch"], bits=one["bits"],
                         memory=HB_GIB * one["vary"].get("hb.capacity", 1), depth=one["depth"],
                         share=one["capacity"] / experts, tokens=tokens, **one["speedup"]))
    for row in rows:
        row.pop("per_layer", None)
    return rows


def run(options, model, bits, **keys):
    """Rows and notes of one run."""
    name = f"{model}-{bits}"
    study = options.work / f"{name}.toml"
    study.write_text(with_model((HERE / "study.toml").read_text(), bits, {"model": model, **keys}))
    more = ["--trajectories", str(options.trajectories)] if options.trajectories else []
    subprocess.run(["rm", "-rf", options.work / name], check=True)
    subprocess.run([options.program, "--quiet", "simulate", study, "-o", options.work / name, *more], check=True,
                   stdout=subprocess.DEVNULL)
    summary = json.loads((options.work / name / "summary.json").read_text())
    return rows_of(summary, model), summary["notes"]


def grid_mean(path):
    """Mean acceptance over all measured configurations, of the data card's figures."""
    measured = json.loads(path.read_text())["acceptance"]
    column = measured["columns"].index("accept_probability")
    return sum(row[column] for row in measured["acceptance"]) / len(measured["acceptance"])


# ---- arithmetic ----

def key(row):
    return tuple(row[name] for name in DESIGN)


def geometric_length(alpha, depth):
    """E[a] where each draft token is accepted with probability alpha until one is not."""
    return sum(alpha ** i for i in range(1, depth + 1))


def own_alpha(captured):
    """Rows at the mean acceptance of each design, which is captured's accepted length at depth 1. The time of a round
    hardly depends on what it accepts, so that speed goes with tokens per round."""
    alpha = {key(row)[:-1]: row["tokens"] - 1 for row in captured if row["depth"] == 1}
    rows = []
    for row in captured:
        if row["depth"] == 0:
            continue
        length = geometric_length(alpha[key(row)[:-1]], row["depth"])
        value = length if row["figure"] == "accepted_length" else row["value"] * (1 + length) / row["tokens"]
        rows.append({**row, "model": "own alpha", "tokens": 1 + length, "value": value, "mc_half_width": None,
                     "trace_half_width": None})
    return rows


def add_errors(rows):
    """Relative errors against captured in per cent. Their half-width is that of simulation and takes the two runs as
    independent: they share random numbers, so that it is rather too wide."""
    captured = {key(row): row for row in rows if row["model"] == "captured"}
    for row in rows:
        true = captured[key(row)]
        ratio = row["value"] / true["value"]
        row["error"] = 100 * (ratio - 1)
        widths = [one["mc_half_width"] for one in (row, true)]
        known = row is not true and None not in widths
        row["error_half_width"] = (
            100 * ratio * math.hypot(widths[0] / row["value"], widths[1] / true["value"]) if known else None)
    return rows


def drafting(rows, model, figure="speedup", **design):
    return [row for row in rows if row["model"] == model and row["figure"] == figure and row["depth"] > 0
            and all(row[name] == value for name, value in design.items())]


def spread(rows, model, **design):
    """Mean error, mean absolute error, and the least and largest error."""
    errors = [row["error"] for row in drafting(rows, model, **design)]
    count = len(errors)
    return sum(errors) / count, sum(map(abs, errors)) / count, min(errors), max(errors)


def choices(rows, model, free):
    """What a model recommends: for each combination of the keys that are not `free`, the drafting design it predicts to
    be fastest, and what captured says of it: (whether it is captured's choice, speed lost in per cent)."""
    fixed = [name for name in DESIGN if name not in free]
    speed = {key(row): row["value"] for row in drafting(rows, "captured")}
    groups = {}
    for row in drafting(rows, model):
        groups.setdefault(tuple(row[name] for name in fixed), []).append(row)
    found = {}
    for group, members in groups.items():
        chosen = key(max(members, key=lambda row: row["value"]))
        best = max((key(row) for row in members), key=speed.get)
        found[group] = (chosen == best, 100 * (1 - speed[chosen] / speed[best]))
    return found


def verdicts(rows, model):
    """For each drafting design: is it faster than the same machine and policy without a draft?"""
    machine = ["policy", "batch", "memory"]
    plain = {tuple(row[name] for name in machine): row["value"] for row in rows
             if row["model"] == "captured" and row["figure"] == "speedup" and row["depth"] == 0}
    return {key(row): row["value"] > plain[tuple(row[name] for name in machine)] for row in drafting(rows, model)}


# ---- writing ----

def table(header, lines):
    rows = ["| " + " | ".join(line) + " |" for line in (header, ["---"] * len(header), *lines)]
    return "\n".join(rows) + "\n"


def value_text(row):
    widths = [row["mc_half_width"], row["trace_half_width"]]
    return f"{row['value']:.2f} " + " ".join("± n/a" if one is None else f"± {one:.2f}" for one in widths)


def error_text(row):
    width = "" if row["error_half_width"] is None else f" ± {row['error_half_width']:.0f}"
    return f"{row['value']:.2f} ({row['error']:+.0f}{width} %)"


def error_table(rows):
    lines = []
    for figure in ("accepted_length", "speedup"):
        for policy in ("static", "lru"):
            for model in MODELS[1:]:
                mean, absolute, least, most = spread(rows, model, figure=figure, policy=policy)
                lines.append([figure.replace("_", " "), policy, model, f"{mean:+.1f}", f"{absolute:.1f}",
                              f"{least:+.0f} to {most:+.0f}"])
    return table(["figure", "policy", "model", "mean error, %", "mean of its size, %", "range, %"], lines)


def choice_table(rows):
    questions = [("depth", ["depth"]), ("bits, and with them the share resident", ["bits"]),
                 ("both", ["depth", "bits"])]
    lines = []
    for question, free in questions:
        for model in MODELS[1:]:
            found = list(choices(rows, model, free).values())
            wrong = [lost for same, lost in found if not same]
            lines.append([question, model, f"{len(wrong)} of {len(found)}",
                          f"{sum(lost for _, lost in found) / len(found):.1f}", f"{max(wrong, default=0):.1f}"])
    return table(["what is chosen", "model", "choices that differ from captured's", "speed lost on average, %",
                  "at most, %"], lines)


def verdict_table(rows):
    truth = verdicts(rows, "captured")
    lines = []
    for model in MODELS:
        said = verdicts(rows, model)
        lines.append([model, f"{sum(said.values())} of {len(said)}",
                      str(sum(said[design] and not truth[design] for design in truth)),
                      str(sum(truth[design] and not said[design] for design in truth))])
    return table(["model", "designs faster than no draft", "of them not under captured", "missed"], lines)


def design_table(rows, memory, **design):
    by_key = {(row["model"], key(row)): row for row in rows}
    lines = []
    for row in sorted(drafting(rows, "captured", **design), key=lambda row: (row["memory"], row["bits"], row["depth"])):
        of = [by_key[model, key(row)] for model in MODELS]
        lines.append([f"{row['memory']:g}", f"{row['bits']}", f"{row['depth']}", f"{row['share']:.2f}",
                      value_text(of[0]), *map(error_text, of[1:])])
    return table([memory, "bits", "depth", "share resident", "captured ± simulation ± trace", *MODELS[1:]], lines)


def markdown(rows, alphas, fits):
    at = "{memory} GiB, {bits} bits, depth {depth}, {policy}, batch {batch}".format(**REFERENCE)
    parts = ["# Speed-up under five models of acceptance\n",
             "Written by `compare.py`; [README.md](README.md) says what it shows. Every figure with its intervals is "
             "in `comparison.csv`.\n",
             f"`ratio`: alpha = {alphas['ratio']:.3f} (E[a] / depth of captured at {at}). `constant`: alpha = "
             f"{alphas['constant']:.3f} (mean of the measured grid). `own alpha`: {alphas['least']:.3f} to "
             f"{alphas['most']:.3f}.\n",
             "## Errors against captured\n", error_table(rows),
             "## Choices\n", "At each memory size, policy and batch (and depth or bits, where not chosen), the fastest "
             "drafting design; lost: what captured says of the design chosen against its own best.\n",
             choice_table(rows), verdict_table(rows), "## The coverage fits\n"]
    for bits, sentences in fits.items():
        parts.append(f"{bits} bits:\n\n" + "\n".join(f"- {one}" for one in sentences) + "\n")
    parts += ["## Accepted length, static, batch 1\n", "In brackets: error against captured ± simulation.\n",
              design_table(rows, "share", figure="accepted_length", policy="static", batch=1)]
    for policy in ("static", "lru"):
        parts += [f"## Speed-up at depth 2, {policy}, batch 1\n",
                  design_table(rows, "GiB", policy=policy, batch=1, depth=2)]
    return "\n".join(parts)


def write_csv(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow(["" if row[name] is None else f"{row[name]:.5g}" if isinstance(row[name], float)
                             else row[name] for name in COLUMNS])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=HERE.parents[1] / "build/cpu/moecarlo")
    parser.add_argument("--work", type=Path, default=HERE.parents[1] / "out/acceptance")
    parser.add_argument("--trajectories", type=int)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)

    rows, fits = [], {}
    for bits in BITS:
        rows += run(options, "captured", bits)[0]
    reference = next(row for row in rows if all(row[name] == value for name, value in REFERENCE.items()))
    alphas = dict(ratio=(reference["tokens"] - 1) / reference["depth"],
                  constant=grid_mean(HERE / "../../datasets/reference.json"))
    own = own_alpha(rows)
    first = [row["tokens"] - 1 for row in own if row["depth"] == 1]
    alphas.update(least=min(first), most=max(first))
    for bits in BITS:
        found, notes = run(options, "coverage", bits)
        rows += found
        fits[bits] = [note for note in notes if "captured probabilities" in note or note.startswith("Held against")]
        for model in ("ratio", "constant"):
            rows += run(options, model, bits, alpha=alphas[model])[0]
    rows = add_errors(rows + own)
    write_csv(HERE / "comparison.csv", rows)
    (HERE / "comparison.md").write_text(markdown(rows, alphas, fits))
    print(f"results: {HERE / 'comparison.md'}")


if __name__ == "__main__":
    main()
