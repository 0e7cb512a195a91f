"""The options of importers that describe a model, and what a trace then says of it."""

from pathlib import Path

import numpy as np

from .output import add_output
from .refusal import INPUT, USAGE, Refusal, array_file
from .safetensors_file import SafetensorsFile
from .selection import BIASES, Rule
from .trace_file import Description


def add_model_options(parser):
    add_output(parser, "TRACE")
    parser.add_argument("--model", help="what the trace calls the model (needed where files do not name it)")
    parser.add_argument(
        "--experts", type=int, help="routed experts per layer (needed where files do not say it)"
    )
    parser.add_argument("--top-k", type=int, help="experts per token (needed where logits alone are given)")
    parser.add_argument("--shared-experts", type=int, default=0)
    parser.add_argument("--zero-experts", type=int, default=0, metavar="Z",
                        help="experts that compute nothing: ids E .. E+Z-1, or -1, may be chosen and cost no fetch")
    parser.add_argument("--layer-numbers", type=_numbers, metavar="N,N,...",
                        help="the model's own numbers of the layers, where files do not say them")
    parser.add_argument("--scoring", choices=["softmax", "sigmoid", "topk_softmax"], default="softmax")
    parser.add_argument("--renormalize", action="store_true", help="chosen weights are rescaled to sum 1")
    parser.add_argument("--groups", type=int, default=1,
                        help="groups of experts, of which a token takes the best (DeepSeek's n_group)")
    parser.add_argument("--top-k-groups", type=int, help="groups that a token may choose from (DeepSeek's topk_group)")
    parser.add_argument("--selection-bias", type=Path, metavar="FILE",
                        help="added to the scores for selection only: an .npy [layers, experts], or the model's "
                             f"safetensors (file or folder) with {BIASES[0]} in each layer")
    parser.add_argument("--map", action="append", default=[], metavar="[ARRAY=]AXES",
                        help="axes of an array that has others than these: sequences, tokens, layers, k or experts, 1 for "
                             "one of length one, layers*k for both in one; ARRAY with {layer} for one a layer")
    parser.add_argument("--label", default="", help="domain of the sequences (code, maths, ...) where files name none")
    parser.add_argument("--source", default="")
    parser.add_argument("--licence", default="")


def _numbers(text):
    return [int(word) for word in text.split(",")]


def read_bias(path, layers, experts):
    """float32 [L, E]: an array, or what a model's safetensors have for the layers with these numbers."""
    if path.suffix == ".npy":
        with array_file(path):
            bias = np.load(path, allow_pickle=False)
    else:
        tensors = SafetensorsFile(path)
        names = {n: name for name in tensors if name.endswith(BIASES) for n in [_number(name)] if n is not None}
        missing = [layer for layer in layers if layer not in names]
        if missing:
            raise Refusal(INPUT, f"{path}: no selection bias of layer {missing[0]} (expected a tensor named like "
                                 f"layers.{missing[0]}.mlp.gate.{BIASES[0]})")
        bias = np.stack([tensors[names[layer]].reshape(-1) for layer in layers])
    if bias.shape != (len(layers), experts) or bias.dtype.kind != "f" or not np.isfinite(bias).all():
        raise Refusal(INPUT, f"{path}: a selection bias of shape {list(bias.shape)}, {bias.dtype} (expected finite "
                             f"floats [{len(layers)}, {experts}])")
    return bias.astype(np.float32)


def _number(name):
    digits = [word for word in name.split(".") if word.isdigit()]
    return int(digits[0]) if digits else None


def describe(options, first, layers, maker):
    """The description of a trace whose first piece is `first`, with these layers."""
    logits, ids = first.arrays.get("router_logits"), first.arrays.get("expert_ids")
    model = options.model or first.model
    if not model:
        raise Refusal(USAGE, "--model is needed: what the trace shall call the model")
    experts = (first.experts or options.experts) if logits is None else logits.shape[2]
    top_k = options.top_k if ids is None else ids.shape[2]
    if experts is None or top_k is None:
        raise Refusal(USAGE, f"{'--experts' if experts is None else '--top-k'} is needed: the files do not say it")
    for option, given, found in (("--experts", options.experts, experts), ("--top-k", options.top_k, top_k)):
        if given not in (None, found):
            raise Refusal(USAGE, f"{option} {given} (expected {found}, as in {first.place})")
    if not 1 <= top_k <= experts <= 1024:
        raise Refusal(USAGE, f"top-{top_k} of {experts} experts (expected 1 <= k <= experts <= 1024)")
    kept = options.groups if options.top_k_groups is None else options.top_k_groups
    if not 1 <= kept <= options.groups or experts % options.groups or top_k > kept * (experts // options.groups):
        raise Refusal(USAGE, f"--groups {options.groups} --top-k-groups {kept} (expected groups that divide {experts} "
                             f"experts, and enough of them kept for top-{top_k})")
    if options.selection_bias and logits is None:
        raise Refusal(USAGE, "--selection-bias would change nothing (expected router logits, found chosen ids alone)")
    if options.groups > 1 and logits is None:
        raise Refusal(USAGE, "--groups would change nothing (expected router logits, found chosen ids alone)")
    zero = options.zero_experts
    if zero < 0 or zero and logits is not None:
        raise Refusal(USAGE, f"--zero-experts {zero} (expected 0 or more, and chosen ids: logits of such experts are not "
                             "read)")
    bias = read_bias(options.selection_bias, layers, experts) if options.selection_bias else None
    rule = Rule(options.scoring, options.renormalize, experts, top_k, options.groups, kept)
    return Description(model, rule, options.shared_experts, options.source, options.licence, maker,
                       {"zero_computation_experts": zero} if zero else {}, selection_bias=bias)
