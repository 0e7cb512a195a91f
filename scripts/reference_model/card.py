#!/usr/bin/env python3
"""Writes the data card of the reference data from its figures: how it was made, from what, and what it is like.

    card.py reference.json -o reference.md
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "capture"))
from routertrace.refusal import run  # noqa: E402


def table(head, rows):
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return lines + [f"| {' | '.join(map(str, row))} |" for row in rows]


def model_part(card):
    options, tokens = card["options"], card["heldout_bits_per_token"]
    return [
        f"A Qwen3-MoE language model of {card['parameters'] / 1e6:.1f} M parameters: {options['layers']} layers, "
        f"{options['experts']} experts of width {options['expert_hidden']}, top-{options['top_k']} with renormalised "
        f"weights, no shared expert, hidden size {options['hidden']}, a byte-level BPE vocabulary of 4,096. Trained on "
        f"{card['training_tokens'] / 1e6:.0f} M tokens in {card['seconds']:.0f} s (device: {card['device']}; AdamW, "
        f"peak rate {options['rate']}, windows of {options['length']} tokens, {options['batch']} a step, "
        "load-balancing loss over the whole batch, weight 0.01).",
        "",
        *table(
            ["held-out text", "bits per token", "unigram entropy, bits", "bits per byte"],
            [
                [
                    d,
                    f"{tokens[d]:.3f}",
                    f"{card['unigram_bits_per_token'][d]:.3f}",
                    f"{card['heldout_bits_per_byte'][d]:.3f}",
                ]
                for d in tokens
            ],
        ),
        "",
        f"Held-out perplexity {card['heldout_perplexity']:.1f} a token. A model without context cannot get below the "
        "unigram entropy.",
        "",
        "Training loss (bits per token): "
        + ", ".join(f"{row[3]:.2f} after {row[2] / 1e6:.1f} M" for row in curve_points(card["curve"]["rows"]))
        + " tokens.",
        "",
    ]


def curve_points(rows):
    """About eight rows, denser at the beginning."""
    chosen = sorted({min(len(rows) - 1, 2**i - 1) for i in range(8)} | {len(rows) - 1})
    return [rows[i] for i in chosen]


def corpus_part(card):
    corpus = card["corpus"]
    return [
        "Text of Debian packages, unpacked and stripped of markup; one document in twenty is held out, by a hash of its "
        "name.",
        "",
        *table(
            ["domain", "packages", "documents", "MB", "tokens", "held-out tokens"],
            [
                [
                    d,
                    ", ".join(v["packages"]),
                    v["documents"],
                    f"{v['bytes'] / 1e6:.1f}",
                    v["tokens"],
                    v["heldout_tokens"],
                ]
                for d, v in corpus["domains"].items()
            ],
        ),
        "",
        *table(
            ["package", "version", "licence"], [[p, v["version"], v["licence"]] for p, v in corpus["packages"].items()]
        ),
        "",
    ]


def trace_part(card):
    trace = card["trace"]
    control, popularity = trace["shuffled_control"], trace["popularity"]
    return [
        f"{trace['tokens']} tokens in {trace['sequences']} sequences: a prompt of 64 tokens from held-out text (phase "
        f"0) and the model's own continuation at temperature 1 (phase 1, {trace['decode_tokens']} tokens), "
        "all domains alike (`sequence_label`). Full router logits in float16; they choose, token for token, the "
        "experts that the model chose. The model that ran has INT8 weights in groups of 32 with float16 scales "
        "(routers, norms and embedding excepted), the target of an elastic self-draft.",
        "",
        *table(
            ["locality", "trace", "shuffled control"],
            [
                [name.replace("_", " "), f"{value:.3f}", f"{control[name]:.3f}"]
                for name, value in trace["locality"].items()
            ],
        ),
        "",
        f"The control permutes all tokens: the same experts are as popular, but neighbours do not belong "
        f"together. Entropy of the choices {popularity['entropy']:.3f} of the largest possible (by layer "
        f"{', '.join(f'{e:.3f}' for e in popularity['entropy_per_layer'])}), heaviest expert "
        f"{popularity['heaviest_over_mean']:.2f} times the mean, {popularity['experts_below_a_tenth_of_the_mean']} "
        f"experts below a tenth of it; total variation distance between the expert loads of two domains "
        f"{trace['distance_between_domains']:.3f} on average.",
        "",
    ]


def grid(rows, column):
    """Bits down, cache fractions across."""
    fractions = sorted({row[1] for row in rows})
    cells = {(row[0], row[1]): row[column] for row in rows}
    return table(["bits", *[f"{f:g}" for f in fractions]],
                 [[bits, *[f"{cells[bits, f]:.3f}" for f in fractions]] for bits in sorted({row[0] for row in rows})])


def acceptance_part(card):
    if not card["acceptance"]:
        return []
    lines = [
        "Acceptance of the elastic self-draft's next token, mean over phase-1 tokens: sum over tokens of min(p, "
        "q) at temperature 1, the draft standing on the target's own text, keys and values. Rows: bits kept of "
        "each weight; columns: share of the experts that is resident (the most popular of the prefill tokens).",
        "",
        "LSB-augmented (group `acceptance`):",
        "",
        *grid(card["acceptance"]["acceptance"], 2),
        "",
    ]
    if "acceptance_truncated" in card["acceptance"]:
        lines += ["Truncated (group `acceptance_truncated`, which studies do not read):", "",
                  *grid(card["acceptance"]["acceptance_truncated"], 2), ""]
    return lines + ["Greedy agreement, LSB-augmented (`greedy_agreement`):", "",
                    *grid(card["acceptance"]["acceptance"], 3), ""]


def rounds_part(card):
    rounds = card["rounds"]
    if not rounds:
        return []
    return [f"Group `rounds`: {rounds['rounds']} speculative rounds over all of phase 1, draft of "
            f"{rounds['weight_bits']} bits with {rounds['cache_fraction']:g} of the experts resident, "
            f"{rounds['depth']} drafted tokens; the target's routing of every column, rejected ones included. "
            f"Mean accepted length {rounds['mean_accepted']:.3f}; acceptance "
            "by draft position, given that all before were accepted: "
            + ", ".join("-" if c is None else f"{c:.3f}" for c in rounds["conditional_acceptance"]) + ".", ""]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    card = json.loads(options.figures.read_text())
    lines = [
        "# Data card: the reference model",
        "",
        "Written by `scripts/reference_model/card.py`; `scripts/reference_model/make` makes everything here from "
        "nothing.",
        "",
        "## Model",
        "",
        *model_part(card),
        "## Text",
        "",
        *corpus_part(card),
        "## Trace",
        "",
        *trace_part(card),
        "## Acceptance",
        "",
        *acceptance_part(card),
        "## Recorded rounds",
        "",
        *rounds_part(card),
        "## Files and licence",
        "",
        *table(["file", "sha256"], card["sha256"].items()),
        "",
        "The figures are data about the model and are under the project's licence. Token ids of prompts "
        "reproduce short passages (64 tokens) of the packages above, under their licences.",
    ]
    options.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    run(main)
