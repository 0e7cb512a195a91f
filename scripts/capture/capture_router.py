#!/usr/bin/env python3
"""Captures a router trace from a Hugging Face MoE model: prefill and decode, full logits, one HDF5 file.

    capture_router.py MODEL PROMPTS -o trace.h5
    capture_router.py allenai/OLMoE-1B-7B-0924 prompts.txt -o olmoe.h5 --decode 256 --temperature 1
    capture_router.py ./model prompts.jsonl -o trace.h5 --acceptance --rounds

MODEL is a folder or a name that transformers can load. PROMPTS is a text file with one prompt a line, or JSON lines
{"prompt": TEXT} or {"token_ids": [...]}, each with an optional "label". With --acceptance and --rounds the target is
the model with INT8 weights, and its elastic self-draft (some experts, upper bits of the weights) is measured.

A capture that is stopped goes on with the same command; what it had finished is in the file meanwhile.
Exit status: 0 done, 2 wrong usage, 3 model or prompts refused, 4 the machine failed us, 75 stopped.
"""

import argparse
import warnings
from pathlib import Path

import routertrace
from routertrace import refusal
from routertrace.output import add_output


def numbers(kind, lowest, highest):
    def parse(text):
        values = sorted({kind(word) for word in text.split(",")})
        if not all(lowest <= value <= highest for value in values):
            raise argparse.ArgumentTypeError(f"{text} (expected values from {lowest} to {highest})")
        return values
    return parse


def whole(lowest):
    def parse(text):
        if int(text) < lowest:
            raise argparse.ArgumentTypeError(f"{text} (expected at least {lowest})")
        return int(text)
    return parse


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("prompts", metavar="PROMPTS", type=Path)
    add_output(parser, "TRACE")
    parser.add_argument("--decode", type=whole(0), default=128, help="tokens to generate per prompt (128)")
    parser.add_argument("--prompt-tokens", type=whole(1), default=512, help="longest prompt; the rest is cut off (512)")
    parser.add_argument("--batch", type=whole(1), default=8, help="prompts at a time (8)")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 = greedy (default), 1 = sampled as modelled")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ignore-end", action="store_true", help="do not stop at the model's end-of-text token")
    parser.add_argument("--routing", choices=["logits", "ids"], default="logits",
                        help="logits = whole router logits, of a model whose rule a trace can state (default); ids = the "
                             "chosen experts and their gate weights, of any model")
    parser.add_argument("--channels", action="store_true",
                        help="record how large the inputs of the experts are, channel by channel: 1 byte for each token, "
                             "layer and channel")
    parser.add_argument("--logits", choices=["auto", "float16", "float32"], default="auto",
                        help="stored type; auto = float16, or float32 where a selection bias or groups take part")
    parser.add_argument("--weights", choices=["auto", "float32", "bfloat16", "float16"], default="auto",
                        help="type of the loaded weights; auto = as stored")
    parser.add_argument("--device", default="auto", help="auto = the first GPU, else the CPU")
    parser.add_argument("--model-name", default="", help="what the trace calls the model")
    parser.add_argument("--source", default="", help="where the prompts are from")
    parser.add_argument("--licence", default="", help="licence of the trace")
    group = parser.add_argument_group("the elastic self-draft")
    group.add_argument("--int8", action="store_true", help="the target has INT8 weights (implied by the next two)")
    group.add_argument("--acceptance", action="store_true", help="measure acceptance over fractions x bits")
    group.add_argument("--rounds", action="store_true", help="record speculative rounds with their rejected columns")
    group.add_argument("--fractions", type=numbers(float, 0, 1), default=[0.25, 0.375, 0.5, 0.625, 0.75, 1.0],
                       help="resident shares of the experts (0.25,0.375,0.5,0.625,0.75,1)")
    group.add_argument("--bits", type=numbers(int, 1, 8), default=[2, 3, 4, 5, 6, 8],
                       help="kept bits of each weight (2,3,4,5,6,8)")
    group.add_argument("--truncation", action="store_true", help="measure plain truncation as well")
    group.add_argument("--depth", type=whole(1), default=8, help="draft tokens of a recorded round (8)")
    group.add_argument("--rounds-fraction", type=float, default=0.5, help="resident share in recorded rounds (0.5)")
    group.add_argument("--rounds-bits", type=whole(1), default=4, help="kept bits in recorded rounds (4)")
    options = parser.parse_args(arguments)
    if options.temperature < 0:
        parser.error(f"--temperature {options.temperature} (expected 0 or more)")
    if not 0 <= options.rounds_fraction <= 1 or options.rounds_bits > 8:
        parser.error("--rounds-fraction, --rounds-bits (expected 0 to 1 and 1 to 8)")
    if options.rounds and options.decode < 2:
        parser.error("--rounds needs --decode 2 or more")
    if options.routing == "ids" and (options.acceptance or options.rounds or options.logits != "auto"):
        parser.error("--routing ids goes without --acceptance, --rounds and --logits (expected --routing logits)")
    options.int8 |= options.acceptance or options.rounds
    return options


def main():
    options = parse_arguments()  # --help needs no model
    routertrace.need("torch", "transformers")
    import torch
    import transformers
    from routertrace.session import Capture
    warnings.filterwarnings("ignore", category=FutureWarning)  # of arguments' names; the older one works everywhere
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.backends.cuda.matmul.allow_tf32 = False
    Capture(options).run()


if __name__ == "__main__":
    refusal.run(main)
