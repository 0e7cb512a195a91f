#!/usr/bin/env python3
"""Counts what SMoLPU's masks and its memory for partial sums would do on stand-in traces.

    results/smolpu/count.py [--program build/cpu/moecarlo] [--traces FOLDER] [--work out/smolpu]

Everything that the paper leaves open is fixed here, before any published energy is looked at; README.md says what and why.
Writes counts.csv beside this file: one row for each trace, law of magnitudes and figure. FOLDER holds the traces of real
models (gptoss20b.h5, flame290m.h5); those that are not there are left out, and the program says so.
"""

import argparse
import csv
import json
import sys
from pathlib import Path

import h5py
import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "scripts/lib"))
from studies import put_magnitudes, run, simulated  # noqa: E402

# The tree: 64 candidates, root included, as a path of 7 with 8 siblings at each level; 4.6 tokens a round are 3.6 accepted
# of 7 where each is accepted with this probability, given those before it.
DEPTH, WIDTH, ALPHA = 7, 9, 0.833
RETENTIONS = [0, 0.2, 0.4, 0.6, 0.8, 0.9, 1]
PUBLISHED_UNION, OF_EXPERTS = 41.7, 64
THETAS = [0.01, 0.02, 0.05, 0.1, 0.2]
CHANNELS = [0, 0.05, 0.1, 0.2, 0.4]
# The design that is taken loads least where perplexity of the small model of datasets/small-loss.json grows by no more.
WORST_PERPLEXITY = 1.01
POSTER = (3 / 4, 1.7 / 4)  # of 4 experts 3 are kept, of which 1.7 equivalents are loaded
WIDTHS = {16: 128, 24: 85, 32: 64}  # bits of a partial sum: how many of 2048 values 512 KiB hold
CHUNK = 128
LAWS = ["even", "uneven"]
SYNTHETIC = ["--layers", "16", "--experts", "64", "--top-k", "8", "--form", "logits", "--sequences", "40",
             "--tokens-per-sequence", "256", "--zipf", "0.3", "--stickiness", "0.3", "--topics", "8",
             "--topic-strength", "0.3", "--seed", "1"]
NAMES = {"synthetic": "synthetic, 16 layers, top-8 of 64", "flame": "FLAME-MoE-290M, top-6 of 64",
         "gpt-oss": "gpt-oss-20b, top-4 of 32", "reference": "moecarlo-reference, top-4 of 32"}
SEQUENCES = 24
COLUMNS = ["trace", "law", "figure", "theta", "channels", "value", "mc_half_width", "trace_half_width"]


# ---- traces ----

def stand_in(source, target, law):
    """The first sequences of a trace, with magnitudes, all of it a prompt."""
    with h5py.File(source) as old, h5py.File(target, "w") as new:
        new.attrs.update(old.attrs)
        offsets = old["sequence_offsets"][:SEQUENCES + 1]
        new["sequence_offsets"] = offsets
        tokens = int(offsets[-1])
        routing = "router_logits" if "router_logits" in old else "expert_ids"
        for name in (routing, "expert_weights"):
            if name in old:
                new[name] = old[name][:tokens]
        new["phase"] = np.zeros(tokens, np.uint8)
        put_magnitudes(new, (tokens, old[routing].shape[1]), law)


# ---- studies ----

class Counter:
    def __init__(self, program, work):
        self.program, self.work = program, work

    def study(self, trace, retention, **tables):
        study = {"trace": str(trace), "trajectories": 64, "rounds": 4, "calibration": "all"}
        study.update(tables.pop("study", {}))
        return simulated(self.program, {
            "study": study, "grid": {"batch": [1], "depth": [DEPTH], "policy": ["static"], "capacity": [1]},
            "draft": {"width": WIDTH, "sibling_routing": retention}, "acceptance": {"alpha": ALPHA}, **tables},
            self.work / "run")


def figure(point, name):
    metric = point["metrics"][name]
    return {key: metric[key] for key in ("value", "mc_half_width", "trace_half_width")}


def mass_allowed():
    """Gate mass that may be dropped: where `threshold` costs as much perplexity as is allowed, interpolated."""
    rules = json.loads((ROOT / "datasets/small-loss.json").read_text())["rules"]
    curve = sorted((one["dropped_mass"], one["perplexity_ratio"]) for one in rules
                   if one["demand"] == "all" or (one["demand"].startswith("threshold") and "token" not in one["demand"]))
    masses, ratios = zip(*curve)
    return float(np.interp(WORST_PERPLEXITY, np.maximum.accumulate(ratios), masses))


def dropped(point):
    """Gate mass that is not computed, in experts and in channels."""
    return sum(point["metrics"][name]["value"] for name in ("dropped_mass", "dropped_channel_mass"))


def chosen(points, allowed):
    """Of the designs that drop no more the one that loads least."""
    return min((point for point in points if dropped(point) <= allowed),
               key=lambda point: point["metrics"]["expert_equivalents"]["value"])


def like_the_poster(points, whole):
    def distance(point):
        kept = point["metrics"]["distinct_experts"]["value"] / whole
        loaded = point["metrics"]["expert_equivalents"]["value"] / whole
        return (kept - POSTER[0])**2 + (loaded - POSTER[1])**2
    return min(points, key=distance)


def parts(demand):
    """theta and channels of `threshold(0.05, channels 0.1)`."""
    inside = demand.partition("(")[2].rstrip(")").split(", ")
    theta = inside[0] if inside[0] and not inside[0].startswith("channels") else "0"
    return theta, next((part.split()[1] for part in inside if part.startswith("channels")), "0")


def count_masks(counter, trace, name, law, retention, rows):
    summary = counter.study(trace, retention, demand={"rule": ["all", "threshold"], "theta": THETAS, "channels": CHANNELS})
    points = [point for point in summary["points"] if point["depth"] == DEPTH]
    whole = next(point for point in points if point["demand"] == "all")
    union = whole["metrics"]["distinct_experts"]["value"]

    def add(label, point, metric, over=1.0):
        values = {key: value and value / over for key, value in figure(point, metric).items()}
        theta, channels = parts(point["demand"])
        rows.append(dict(trace=NAMES[name], law=law, figure=label, theta=theta, channels=channels, **values))

    add("experts without masks", whole, "distinct_experts")
    masked = [point for point in points if point["demand"].startswith("threshold")]
    for label, point in (("chosen", chosen(masked, mass_allowed())), ("like the poster", like_the_poster(masked, union))):
        add(f"{label}: share of experts kept", point, "distinct_experts", union)
        add(f"{label}: share of weights loaded", point, "expert_equivalents", union)
        for metric in ("dropped_mass", "dropped_channel_mass", "redundant_small_gate", "redundant_rejected",
                       "dropped_small_gate", "dropped_rejected"):
            add(f"{label}: {metric}", point, metric)
    for point in masked:
        add("sweep: share of weights loaded", point, "expert_equivalents", union)
        rows.append(dict(rows[-1], figure="sweep: mass dropped", value=dropped(point), mc_half_width=None,
                         trace_half_width=None))


def count_salient(counter, trace, name, law, retention, rows):
    """EdgeXpert's rule on the same trees: what experts one candidate a depth leaves, and the gate mass of the others; with
    channels, what of them is loaded, and how much of what siblings would load that covers."""
    summary = counter.study(trace, retention, demand={"rule": ["all", "salient"], "channels": CHANNELS})
    points = {point["demand"]: point for point in summary["points"] if point["depth"] == DEPTH}
    union = points["all"]["metrics"]["distinct_experts"]["value"]

    def add(label, channels, metric, over=1.0):
        point = points[f"salient(channels {channels})" if channels else "salient"]
        rows.append(dict(trace=NAMES[name], law=law if channels else "", figure=f"salient: {label}", theta="",
                         channels=channels or "",
                         **{key: value and value / over for key, value in figure(point, metric).items()}))

    if law == LAWS[0]:
        add("share of experts kept", 0, "distinct_experts", union)
        add("dropped_mass", 0, "dropped_mass")
    for channels in CHANNELS[1:]:
        add("channel recall", channels, "channel_recall")
        add("share of weights loaded", channels, "expert_equivalents", union)


def count_partial_sums(counter, trace, name, rows):
    for bits, slots in WIDTHS.items():
        for order in ("ranked", "forced"):
            summary = counter.study(trace, 1, study={"trajectories": 64, "rounds": 1}, prefill={
                "chunk": CHUNK, "psum_slots": slots, "psum_forced": order == "forced"})
            point = summary["prefill"][0] if isinstance(summary["prefill"], list) else summary["prefill"]["points"][0]
            for metric in ("psum_spills", "psum_high_water"):
                histogram = point["metrics"].get(metric) or point["histograms"][metric]["mean"]
                rows.append(dict(trace=NAMES[name], law="", figure=f"{metric}, {bits} bit, {order}", theta="", channels="",
                                 **{key: histogram[key] for key in ("value", "mc_half_width", "trace_half_width")}))


def count(arguments):
    counter = Counter(arguments.program.resolve(), arguments.work)
    arguments.work.mkdir(parents=True, exist_ok=True)
    run(counter.program, "synth", "-o", arguments.work / "synthetic.h5", "--force", *SYNTHETIC)
    sources = {"synthetic": arguments.work / "synthetic.h5", "flame": arguments.traces / "flame290m.h5",
               "gpt-oss": arguments.traces / "gptoss20b.h5", "reference": ROOT / "datasets/reference.h5"}
    rows, retention = [], None
    for name, source in sources.items():
        if not source.exists():
            print(f"{source}: not there, left out")
            continue
        for law in LAWS:
            stand_in(source, arguments.work / f"{name}-{law}.h5", law)
        unions = []
        for tried in RETENTIONS:
            summary = counter.study(arguments.work / f"{name}-even.h5", tried)
            point = next(point for point in summary["points"] if point["depth"] == DEPTH)
            unions.append(point["metrics"]["distinct_experts"]["value"])
            rows.append(dict(trace=NAMES[name], law="", figure=f"experts, siblings keep {tried}", theta="", channels="",
                             **figure(point, "distinct_experts")))
        fitted = float(np.interp(-PUBLISHED_UNION / OF_EXPERTS,
                                 [-union / summary["trace"]["experts"] for union in unions], RETENTIONS))
        rows.append(dict(trace=NAMES[name], law="", figure="retention that gives 41.7 of 64", theta="", channels="",
                         value=fitted, mc_half_width=None, trace_half_width=None))
        retention = fitted if retention is None else retention  # that of the synthetic trace stands for all
        for law in LAWS:
            count_masks(counter, arguments.work / f"{name}-{law}.h5", name, law, retention, rows)
        for law in LAWS:
            count_salient(counter, arguments.work / f"{name}-{law}.h5", name, law, retention, rows)
        count_partial_sums(counter, arguments.work / f"{name}-even.h5", name, rows)
        print(f"{NAMES[name]}: siblings keep {fitted:.3f}", flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=ROOT / "build/cpu/moecarlo")
    parser.add_argument("--traces", type=Path, default=ROOT / "traces")
    parser.add_argument("--work", type=Path, default=ROOT / "out/smolpu")
    rows = count(parser.parse_args())
    with open(HERE / "counts.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()})


if __name__ == "__main__":
    main()
