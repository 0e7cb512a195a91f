"""What the importers share: the options that describe a model, and the checks of what they were given."""

from pathlib import Path

import numpy as np

from .refusal import INPUT, USAGE, Refusal
from .selection import Rule
from .trace_file import Description


def add_model_options(parser):
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="TRACE")
    parser.add_argument("--model", required=True, help="what the trace calls the model")
    parser.add_argument(
        "--experts", type=int, help="routed experts per layer (needed where only chosen ones are given)"
    )
    parser.add_argument("--top-k", type=int, help="experts per token (needed where logits are given)")
    parser.add_argument("--shared-experts", type=int, default=0)
    parser.add_argument("--scoring", choices=["softmax", "sigmoid", "topk_softmax"], default="softmax")
    parser.add_argument("--renormalize", action="store_true", help="chosen weights are rescaled to sum 1")
    parser.add_argument("--source", default="")
    parser.add_argument("--licence", default="")


def describe(options, routing, maker):
    """The description of a trace whose first sequence has `routing` [tokens, layers, k or experts]."""
    if routing.ndim != 3:
        raise Refusal(INPUT, f"routing has shape {list(routing.shape)} (expected [tokens, layers, k or experts])")
    logits = routing.dtype.kind == "f"
    experts, top_k = (routing.shape[2], options.top_k) if logits else (options.experts, routing.shape[2])
    if experts is None or top_k is None:
        raise Refusal(USAGE, f"{'--top-k' if logits else '--experts'} is needed: the files do not say it")
    if not 1 <= top_k <= experts <= 1024:
        raise Refusal(USAGE, f"top-{top_k} of {experts} experts (expected 1 <= k <= experts <= 1024)")
    rule = Rule(options.scoring, options.renormalize, experts, top_k)
    return Description(options.model, rule, options.shared_experts, options.source, options.licence, maker)


def check_ids(place, ids, rule):
    """Expert ids [tokens, layers, k]: in range, none twice in one token and layer."""
    if ids.ndim != 3 or ids.shape[2] != rule.top_k:
        raise Refusal(
            INPUT, f"{place}: expert ids have shape {list(ids.shape)} (expected [tokens, layers, {rule.top_k}])"
        )
    if ids.min() < 0 or ids.max() >= rule.experts:
        bad = ids.min() if ids.min() < 0 else ids.max()
        raise Refusal(INPUT, f"{place}: expert id out of range (expected 0 to {rule.experts - 1}, found {bad})")
    ordered = np.sort(ids, -1)
    twice = (ordered[..., 1:] == ordered[..., :-1]).any(-1)
    if twice.any():
        token, layer = np.argwhere(twice)[0]
        raise Refusal(INPUT, f"{place}: one expert twice at token {token}, layer {layer} (found "
                             f"{ids[token, layer].tolist()})")


def check_logits(place, logits, rule):
    """Router logits [tokens, layers, experts], finite, as float16 or float32."""
    if logits.ndim != 3 or logits.shape[2] != rule.experts:
        raise Refusal(
            INPUT, f"{place}: logits have shape {list(logits.shape)} (expected [tokens, layers, {rule.experts}])"
        )
    if not np.isfinite(logits).all():
        raise Refusal(INPUT, f"{place}: NaN or infinite logit at {np.argwhere(~np.isfinite(logits))[0].tolist()}")
    return logits if logits.dtype in (np.float16, np.float32) else logits.astype(np.float32)
