#!/usr/bin/env python3
"""The card of a measured loss curve: how good its model is, and what each rule cost it.

    loss_card.py small-loss.json model/training.json -o small-loss.md
"""

import argparse
import json
from pathlib import Path


def card(measured, training):
    options, bits = training["options"], training["heldout_bits_per_token"]
    lines = [
        f"# {measured['model']}: what demand rules cost a small model", "",
        "Made by `scripts/reference_model/loss`. A model of the reference model's family (Qwen3-MoE), smaller: "
        f"{options['layers']} layers, top-{options['top_k']} of {options['experts']} experts, hidden size "
        f"{options['hidden']}, {training['parameters'] / 1e6:.1f} million parameters; trained for "
        f"{training['seconds'] / 60:.0f} minutes (device: {training['device']}), {training['training_tokens'] / 1e6:.1f} "
        "million tokens of the corpus of the reference model. It serves this curve alone, and is not kept.", "",
        f"Held-out text: {bits['mean']:.2f} bits per token, {training['heldout_bits_per_byte']['mean']:.2f} bits per byte "
        f"(token frequencies alone: {training['unigram_bits_per_token']['mean']:.2f} bits per token). **That is a weak "
        "model**: what a rule costs it shows the shape of the curve, not the level that a large model has.", "",
        f"Measured by `measure_loss.py` on {measured['texts']} held-out texts, {measured['tokens']} tokens, in passes of "
        f"depth {measured['depth']}, batch {measured['batch']}; path probabilities by the acceptance of the draft without a "
        "rule; acceptance is that of the elastic self-draft at temperature 1. Under `slices` the mass is that of experts "
        "which compute from the upper 4 of 8 bits; under `salient` that of all candidates of a tree, of which the text's "
        "tokens, whose loss it is, are mostly those that decide. Ratios with their 95 % intervals, acceptance and accepted "
        "length with a standard error.", "",
        "| demand | gate mass dropped or cut, % | perplexity, times | acceptance | accepted length |",
        "|---|---|---|---|---|"]
    for one in measured["rules"]:
        lines.append(
            f"| {one['demand']} | {100 * one['dropped_mass']:.1f} | {one['perplexity_ratio']:.4f} "
            f"({one['perplexity_ratio_low']:.4f} to {one['perplexity_ratio_high']:.4f}) | {one['acceptance']:.3f} ± "
            f"{one['acceptance_error']:.3f} | {one['accepted_length']:.3f} ± {one['accepted_length_error']:.3f} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=Path)
    parser.add_argument("training", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.write_text(card(json.loads(options.measured.read_text()), json.loads(options.training.read_text())))


if __name__ == "__main__":
    main()
