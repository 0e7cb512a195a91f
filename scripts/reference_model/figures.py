#!/usr/bin/env python3
"""The figures of the reference data's card: locality beside a shuffled control, acceptance, rounds.

    figures.py trace.h5 training.json -o card.json

The control permutes the tokens of all sequences: the same experts are as popular, but neighbours no longer belong
together. A routing that is collapsed has an entropy near 0, a uniform one near 1 and no more overlap than its control.
NumPy and h5py only.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / folder) for folder in ("capture", "lib")]
from accepted import open_accepted  # noqa: E402
from routertrace.refusal import run  # noqa: E402
from routertrace.selection import Rule, select  # noqa: E402


def routing(trace):
    """Chosen experts as masks [T, L, E]."""
    a = trace.attrs
    rule = Rule(a["scoring"], bool(a["renormalize"]), int(a["num_experts"]), int(a["top_k"]))
    ids = select(rule, trace["router_logits"][:])
    masks = np.zeros(trace["router_logits"].shape, bool)
    np.put_along_axis(masks, ids, True, -1)
    return masks


def adjacent_overlap(masks, inside):
    """Share of a token's experts that the token before it chose too."""
    k = masks[0, 0].sum()
    return float((masks[1:] & masks[:-1]).sum(-1)[inside].mean() / k)


def distinct(masks, starts, window):
    """Mean number of distinct experts of `window` successive tokens."""
    union = masks[starts]
    for i in range(1, window):
        union = union | masks[starts + i]
    return float(union.sum(-1).mean())


def locality(masks, offsets):
    inside = np.ones(len(masks) - 1, bool)
    inside[offsets[1:-1] - 1] = False
    starts = np.concatenate([np.arange(a, b - 4) for a, b in zip(offsets, offsets[1:]) if b - a > 4])
    return {"adjacent_overlap": adjacent_overlap(masks, inside), "distinct_experts_of_2": distinct(masks, starts, 2),
            "distinct_experts_of_5": distinct(masks, starts, 5)}


def popularity(masks):
    load = masks.mean(0) / masks.mean(0).sum(-1, keepdims=True)
    entropy = -(load * np.log(np.maximum(load, 1e-12))).sum(-1) / np.log(load.shape[-1])
    return {"entropy": float(entropy.mean()), "entropy_per_layer": entropy.round(4).tolist(),
            "heaviest_over_mean": float((load.max(-1) * load.shape[-1]).mean()),
            "experts_below_a_tenth_of_the_mean": int((load * load.shape[-1] < 0.1).sum())}


def domain_distance(masks, offsets, labels):
    """Mean total variation distance between the expert loads of two domains: 0 if domains route alike."""
    loads = []
    for label in sorted(set(labels)):
        rows = np.concatenate([np.arange(offsets[s], offsets[s + 1]) for s in np.flatnonzero(labels == label)])
        load = masks[rows].mean(0)
        loads.append(load / load.sum(-1, keepdims=True))
    pairs = [np.abs(a - b).sum(-1).mean() / 2 for i, a in enumerate(loads) for b in loads[:i]]
    return float(np.mean(pairs)) if pairs else None


def acceptance(trace, tokens):
    found = {}
    for name in ("acceptance", "acceptance_truncated"):
        if name in trace:
            group = trace[name]
            rows = zip(group["weight_bits"][:].tolist(), group["cache_fraction"][:].tolist(),
                       group["accept_probability"][:][:, tokens].astype(float).mean(1),
                       group["greedy_agreement"][:][:, tokens].mean(1))
            found[name] = [
                [bits, round(fraction, 4), round(float(p), 5), round(float(g), 5)] for bits, fraction, p, g in rows
            ]
    return {"columns": ["bits", "cache_fraction", "accept_probability", "greedy_agreement"], **found} if found else None


def rounds(trace):
    if "rounds" not in trace:
        return None
    group = trace["rounds"]
    drafted, accepted = group["drafted"][:], group["accepted"][:]
    depth = group["verify_expert_ids"].shape[1] - 1
    full = drafted == depth
    reached = [int(((accepted >= i) & full).sum()) for i in range(depth + 1)]
    return {"rounds": len(drafted), "depth": depth, "cache_fraction": float(group.attrs["cache_fraction"]),
            "weight_bits": int(group.attrs["weight_bits"]), "mean_accepted": float(accepted[full].mean()),
            "conditional_acceptance": [round(b / a, 4) if a else None for a, b in zip(reached, reached[1:])]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace", type=Path)
    parser.add_argument("training", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--also", type=Path, nargs="*", default=[], help="further files to list with a checksum")
    options = parser.parse_args()
    card = json.loads(options.training.read_text())
    with open_accepted(options.trace) as trace:
        masks, offsets = routing(trace), trace["sequence_offsets"][:]
        shuffled = masks[np.random.default_rng(1).permutation(len(masks))]
        labels = trace["sequence_label"].asstr()[:]
        decode = np.flatnonzero(trace["phase"][:] == 1)
        card["trace"] = {
            "tokens": len(masks), "decode_tokens": len(decode), "sequences": len(offsets) - 1,
            "locality": locality(masks, offsets), "shuffled_control": locality(shuffled, offsets),
            "popularity": popularity(masks), "distance_between_domains": domain_distance(masks, offsets, labels)}
        card["acceptance"], card["rounds"] = acceptance(trace, decode), rounds(trace)
    card["sha256"] = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in [options.trace, *options.also]
    }
    options.output.write_text(json.dumps(card, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
