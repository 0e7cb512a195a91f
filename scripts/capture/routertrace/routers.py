"""Finds the routers of a Hugging Face MoE model, records what they compute, and restricts what they may choose.

A router is a small module that maps a hidden state to one logit per expert by a single linear map. Families differ in
names and outputs, but that map is common to all of them: whatever a router's forward does, its first `linear` with one
output per expert yields the logits. A tap reads them there and, for a draft, masks the experts that are not resident.
"""

import re
from dataclasses import dataclass

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from .refusal import INPUT, Refusal
from .selection import Rule, gate_weights

EXPERT_KEYS = ("num_local_experts", "n_routed_experts", "num_experts", "moe_num_experts", "num_moe_experts")
TOP_K_KEYS = ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k", "moe_top_k", "top_k", "topk")
SHARED_KEYS = ("n_shared_experts", "num_shared_experts")
BIASES = ("e_score_correction_bias", "expert_bias", "score_correction_bias")


def _first(source, keys):
    for key in keys:
        value = getattr(source, key, None)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


class _FirstLinear(TorchFunctionMode):
    """Within it, the first linear map with `experts` outputs is recorded, and masked by `absent` [experts]."""

    def __init__(self, experts, absent):
        super().__init__()
        self.experts, self.absent, self.logits = experts, absent, None

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if self.logits is None and function is torch.nn.functional.linear and result.shape[-1] == self.experts:
            self.logits = result.detach().reshape(-1, self.experts)
            if self.absent is not None:
                result = result.masked_fill(self.absent, float("-inf"))
        return result


class Tap:
    """One router of a model. `record` switches recording on; `absent` [experts] bool, or None, masks experts."""

    def __init__(self, name, module, experts, top_k):
        self.name, self.module, self.experts, self.top_k = name, module, experts, top_k
        numbers = re.findall(r"\.(\d+)\.", name)
        self.layer = int(numbers[0]) if numbers else 0
        self.record, self.absent = False, None
        self.logits, self.ids, self.weights = None, None, None
        self.bias = next(
            (getattr(module, key) for key in BIASES if isinstance(getattr(module, key, None), torch.Tensor)), None
        )
        self.original = module.forward
        module.forward = self._forward

    def detach(self):
        self.module.forward = self.original

    def module_device(self):
        return next(self.module.parameters()).device

    def selection_bias(self):
        return None if self.bias is None else self.bias.detach().float().cpu().numpy()

    def _forward(self, *arguments, **options):
        if not self.record and self.absent is None:
            return self.original(*arguments, **options)
        bias = None
        if self.absent is not None and self.bias is not None:  # a bias may not lift an absent expert over a resident
            bias = self.bias.data.clone()
            self.bias.data.masked_fill_(self.absent, float("-inf"))
        try:
            with _FirstLinear(self.experts, self.absent) as linear:
                output = self.original(*arguments, **options)
        finally:
            if bias is not None:
                self.bias.data.copy_(bias)
        if self.record:
            self._keep(linear.logits, output)
        return output

    def _keep(self, logits, output):
        outputs = [part for part in (output if isinstance(output, (tuple, list)) else [output])
                   if isinstance(part, torch.Tensor)]
        if logits is None:  # a fused kernel: the logits may still be among the outputs
            wide = [part for part in outputs if part.is_floating_point() and part.shape[-1] == self.experts]
            if not wide:
                raise Refusal(INPUT, f"{self.name}: no router logits seen (expected a linear map to {self.experts} "
                                     f"outputs in {type(self.module).__name__})")
            logits = wide[0].detach().reshape(-1, self.experts)
        rows = logits.shape[0]
        narrow = [part.detach().reshape(rows, -1) for part in outputs if part.numel() == rows * self.top_k]
        self.logits = logits.float()
        self.ids = next((part for part in narrow if not part.is_floating_point()), None)
        self.weights = next((part for part in narrow if part.is_floating_point() and self.top_k != self.experts), None)


def _expert_count(experts):
    if isinstance(experts, torch.nn.ModuleList):
        return len(experts)
    stacked = [p.shape[0] for p in experts.parameters(recurse=False) if p.dim() == 3]
    return _first(experts, ("num_experts", "num_local_experts")) or (stacked[0] if stacked else None)


def _is_router(module, experts):
    """By shape: it owns a [experts, hidden] weight, itself or in a child."""
    return not isinstance(module, torch.nn.ModuleList) and any(
        p.dim() == 2 and p.shape[0] == experts for p in module.parameters())


def _candidates(model, config):
    """(name, module, experts) of every router: the sibling of an `experts` child, else whatever is named like one."""
    found = []
    for name, parent in model.named_modules():
        experts = getattr(parent, "experts", None)
        count = _expert_count(experts) if isinstance(experts, torch.nn.Module) else None
        if not count:
            continue
        children = [(child, module) for child, module in parent.named_children()
                    if child != "experts" and _is_router(module, count)]
        children.sort(key=lambda item: item[0] not in ("gate", "router"))
        if children:
            child, module = children[0]
            found.append((f"{name}.{child}", module, count))
    if found:
        return found
    count = _first(config, EXPERT_KEYS)
    return [(name, module, count) for name, module in model.named_modules()
            if count and name.rsplit(".", 1)[-1] in ("gate", "router") and _is_router(module, count)]


def attach(model):
    """Taps on all routers of `model`, in layer order. A model without any is refused."""
    config = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config
    taps = []
    for name, module, experts in _candidates(model, config):
        top_k = (_first(module, TOP_K_KEYS) or _first(config, TOP_K_KEYS))
        if top_k is None:
            raise Refusal(INPUT, f"{name}: top-k unknown (expected one of {', '.join(TOP_K_KEYS)} in the model's "
                                 "configuration)")
        taps.append(Tap(name, module, experts, top_k))
    if not taps:
        raise Refusal(INPUT, f"{type(model).__name__}: no MoE router found (expected a module with a [experts, hidden] "
                             "weight beside one called experts)")
    taps.sort(key=lambda tap: tap.layer)
    shapes = {(tap.experts, tap.top_k) for tap in taps}
    if len(shapes) > 1:
        raise Refusal(INPUT, f"{type(model).__name__}: layers differ in (experts, top-k) {sorted(shapes)}, which a "
                             "trace cannot hold")
    return taps


def shared_experts(config):
    """How many shared experts a token always runs."""
    declared = _first(config, SHARED_KEYS)
    return declared or int(bool(_first(config, ("shared_expert_intermediate_size",))))


def declared_rule(config, taps):
    """The selection rule as the family states it, or None for a family that is not known here."""
    family, first = getattr(config, "model_type", ""), taps[0]
    shape = dict(experts=first.experts, top_k=first.top_k)
    normalises = bool(getattr(config, "norm_topk_prob", False))
    groups = _first(config, ("n_group",)) or 1
    kept = _first(config, ("topk_group",)) or 1
    if first.bias is not None:
        return Rule("sigmoid", normalises, num_groups=groups, top_k_groups=kept, **shape)
    if family == "gpt_oss":
        return Rule("topk_softmax", True, **shape)
    if family == "deepseek_v2":
        limited = getattr(config, "topk_method", "greedy") == "group_limited_greedy"
        return Rule("softmax", False, num_groups=groups if limited else 1, top_k_groups=kept if limited else 1, **shape)
    if family == "mixtral":
        return Rule("softmax", True, **shape)
    if family in ("olmoe", "qwen2_moe", "qwen3_moe"):
        return Rule("softmax", normalises, **shape)
    return None


def inferred_rule(tap):
    """The rule of an unknown family: the one whose gate weights are, up to a factor, those that `tap` recorded."""
    shape = dict(experts=tap.experts, top_k=tap.top_k)
    rules = [Rule("softmax", True, **shape), Rule("softmax", False, **shape), Rule("sigmoid", True, **shape),
             Rule("sigmoid", False, **shape)]
    if tap.ids is None or tap.weights is None:
        return rules[0]
    logits, ids = tap.logits.cpu().numpy(), tap.ids.cpu().numpy()
    recorded = tap.weights.float().cpu().numpy()

    def misfit(rule):
        ours = gate_weights(rule, logits, ids)
        factor = (recorded * ours).sum() / max((ours * ours).sum(), 1e-30)
        return np.abs(recorded - factor * ours).mean()

    return min(rules, key=misfit)
