#!/usr/bin/env python3
"""Measures what demand rules cost a model: perplexity and acceptance with each rule in the forward pass.

    measure_loss.py MODEL PROMPTS -o loss.json --demand 'threshold(0.05)' --demand 'threshold(0.1)' --demand 'budget(16)'

PROMPTS are texts, as of capture_router.py; of each the first tokens are prompt, and the others are verified in passes of
depth + 1 neighbours, --batch texts together, under the rule. Column i of a pass has path probability a^i with a the
acceptance that was measured without a rule, or what --path lists. Acceptance is that of the elastic self-draft (INT8 target,
some experts resident, upper bits), which stands on the target's own keys and values. What a rule drops gets gate weight 0;
the other weights stay. Under `slices` an expert whose gate is below THETA computes with the upper --bits of its weights,
and its gate counts as dropped. Under `salient(width N)` the N tokens that the draft holds most likely are candidates at each
column but the first of a pass: the likeliest one decides, and a token of the text that is another one uses only experts that
it has in common with that one; dropped_mass is that of all candidates of the tree, as in a simulation. Under `channels C` an
expert computes on the input channels that reach C, times the gate, in some token of the pass; gates count as dropped by the
share of the token's magnitudes in the others.

The file (JSON, schema moecarlo-loss 1) is what `[demand] loss` of a study names: model, texts, tokens, depth, batch, and
rules, `all` first, of each demand, dropped_mass, bits_per_token, bits_per_token_error, perplexity, perplexity_ratio,
perplexity_ratio_low, perplexity_ratio_high, acceptance, acceptance_error, accepted_length, accepted_length_error. Errors:
one standard error, over texts, null of a single one; the ratio to `all` is of the same texts, 95 %.
Exit status: 0 done, 2 wrong usage, 3 model or texts refused, 4 the machine failed us.
"""

import argparse
import json
import math
import warnings
from pathlib import Path

import routertrace
from routertrace import refusal
from routertrace.output import add_output, expect_new
from routertrace.refusal import INPUT, USAGE, Refusal


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("prompts", metavar="PROMPTS", type=Path)
    add_output(parser, "JSON")
    parser.add_argument("--demand", action="append", default=[], metavar="RULE",
                        help="as a study labels it: threshold(0.05), threshold(0.05, token), budget(16), top_p(0.9), "
                             "half(0.75), half(unimportant 0.5, entropy), slices(0.2), "
                             "threshold(0.05, channels 0.1); and salient(width 4), 4 candidates a level; again "
                             "for each more")
    parser.add_argument("--depth", type=int, default=4, help="draft tokens of a pass (4)")
    parser.add_argument("--batch", type=int, default=1, help="texts that are verified together (1)")
    parser.add_argument("--path", default="", metavar="C,..", help="path probabilities of columns 0 .. depth, 1 first")
    parser.add_argument("--prompt-tokens", type=int, default=64, help="of each text, which no rule touches (64)")
    parser.add_argument("--tokens", type=int, default=192, help="of a text, its prompt too; no shorter ones (192)")
    parser.add_argument("--temperature", type=float, default=1.0, help="of acceptance (1)")
    parser.add_argument("--fraction", type=float, default=0.5, help="resident share of the experts in the draft (0.5)")
    parser.add_argument("--bits", type=int, default=4, help="kept bits of the draft's weights (4)")
    parser.add_argument("--model-name", metavar="NAME", help="in the file (the last part of MODEL)")
    parser.add_argument("--weights", choices=["auto", "float32", "bfloat16", "float16"], default="auto",
                        help="type of the loaded weights; auto = as stored")
    parser.add_argument("--device", default="auto", help="auto = the first GPU, else the CPU")
    options = parser.parse_args()
    if not (options.depth >= 1 and options.batch >= 1 and 1 <= options.bits <= 8 and 0 <= options.fraction <= 1):
        parser.error("--depth, --batch, --bits, --fraction (expected 1 or more, 1 or more, 1 to 8 and 0 to 1)")
    if not 1 <= options.prompt_tokens or options.tokens < options.prompt_tokens + options.depth + 1:
        parser.error(f"--tokens {options.tokens} (expected at least --prompt-tokens + depth + 1)")
    if options.temperature <= 0:
        parser.error(f"--temperature {options.temperature} (expected more than 0)")
    return options


def listed_path(text, depth):
    if not text:
        return None
    try:
        path = [float(word) for word in text.split(",")]
    except ValueError:
        path = []
    if len(path) != depth + 1 or path[0] != 1 or not all(0 <= c <= 1 for c in path):
        raise Refusal(USAGE, f"--path {text} (expected {depth + 1} numbers from 0 to 1, the first one 1)")
    return path


def row(label, found, dropped, plain, options):
    """One rule of the file. found, plain: of each text, under the rule and under `all`."""
    import numpy as np
    from routertrace.loss import expected_length

    def mean(values):
        values = np.asarray(values)
        error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else float("nan")
        return float(values.mean()), float(error)

    bits, bits_error = mean(found["bits"].mean(1))
    more, more_error = mean((found["bits"] - plain["bits"]).mean(1))
    acceptance, acceptance_error = mean(found["accepted"].mean(1))
    length, length_error = mean(expected_length(found["accepted"], options.depth))
    numbers = {"dropped_mass": dropped, "bits_per_token": bits, "bits_per_token_error": bits_error,
               "perplexity": 2 ** bits, "perplexity_ratio": 2 ** more,
               "perplexity_ratio_low": 2 ** (more - 1.96 * more_error),
               "perplexity_ratio_high": 2 ** (more + 1.96 * more_error), "acceptance": acceptance,
               "acceptance_error": acceptance_error, "accepted_length": length, "accepted_length_error": length_error}
    return {"demand": label, **{name: float(f"{value:.6g}") if math.isfinite(value) else None
                                for name, value in numbers.items()}}


def measure(options):
    import numpy as np
    import torch
    from routertrace import elastic_draft, inputs, routers
    from routertrace.demands import Demand
    from routertrace.loss import LossMeter, Passes
    from routertrace.progress import Progress

    demands = [Demand("all")] + [Demand(label) for label in options.demand if label != "all"]
    path = listed_path(options.path, options.depth)
    expect_new(options.output, options.force)
    inputs.check_model(options.model)
    texts = [ids[:options.tokens] for ids, _ in inputs.read_prompts(options.prompts, options.model, options.tokens)
             if len(ids) >= options.tokens]
    texts = texts[:len(texts) // options.batch * options.batch]
    if not texts:
        raise Refusal(INPUT, f"{options.prompts}: no texts of {options.tokens} tokens (--tokens N takes shorter ones)")
    model = inputs.load_model(options.model, options.weights, options.device)
    taps = routers.attach(model)
    draft = elastic_draft.ElasticDraft(model, taps)
    ids = torch.tensor(texts, device=model.device)
    residents = elastic_draft.most_popular(popularity(model, taps, ids[:, :options.prompt_tokens]), options.fraction,
                                           taps[0].top_k)
    rules, progress = [], Progress("rules", len(demands), 0)
    with torch.inference_mode():
        meter = LossMeter(model, draft, ids, Passes(path or [1.0] * (options.depth + 1), options.prompt_tokens,
                                                    options.batch), options.temperature, residents, options.bits)
        for demand in demands:
            found, dropped = meter.measure(demand)
            if not rules:
                plain = found
                meter.passes.path = path or [float(np.mean(found["accepted"])) ** i for i in range(options.depth + 1)]
            rules.append(row(demand.label, found, dropped, plain, options))
            progress.advance()
    progress.close()
    return {"schema": "moecarlo-loss", "schema_version": 1,
            "model": options.model_name or Path(options.model.rstrip("/")).name, "texts": len(texts),
            "tokens": int(plain["bits"].size), "depth": options.depth, "batch": options.batch, "rules": rules}


def popularity(model, taps, ids):
    """[L, E] choices of the prompts: what the draft's residents are chosen by."""
    import numpy as np
    import torch
    counts = np.zeros((len(taps), taps[0].experts), np.int64)
    for tap in taps:
        tap.record = True
    with torch.inference_mode():
        for part in ids.split(8):
            model(input_ids=part, use_cache=False)
            for layer, tap in enumerate(taps):
                counts[layer] += np.bincount(tap.ids.flatten().cpu().numpy(), minlength=tap.experts)
    for tap in taps:
        tap.record = False
        tap.forget()
    return counts


def main():
    options = parse_arguments()  # --help needs no model
    routertrace.need("torch", "transformers")
    import transformers
    from routertrace.trace_file import replace
    warnings.filterwarnings("ignore", category=FutureWarning)  # of arguments' names; the older one works everywhere
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    measured = measure(options)
    temporary = options.output.with_name(f".{options.output.name}.tmp")
    temporary.write_text(json.dumps(measured, indent=1) + "\n")
    replace(temporary, options.output)
    for one in measured["rules"]:
        print(f"{one['demand']:28} drops {100 * one['dropped_mass']:5.1f} % of the gate mass, perplexity "
              f"{one['perplexity']:.4g} ({one['perplexity_ratio']:.4f} of all), acceptance {one['acceptance']:.3f}")


if __name__ == "__main__":
    refusal.run(main)
