"""By what rule a model's routers choose: of those that a trace can state, the one that leads from the logits to what the
experts were asked to compute, ids and gate weights alike. A model of no such rule is refused.
"""

import numpy as np

from .refusal import INPUT, Refusal
from .routers import first_number, text_config
from .selection import BIASES, Rule, disagreements, gate_weights

TOLERATED = 1e-3  # share of rows that may differ by rounding; more means a wrong rule
WEIGHT_ERROR = 0.02  # of the largest gate weight of a token: routers that compute in bfloat16
OVER_THE_CHOSEN = ("gpt_oss", "granitemoe", "granitemoehybrid", "granitemoeshared")  # say so; equal to renormalising


def _bias(taps, name):
    return None if name is None else np.stack([tap.biases[name].detach().float().cpu().numpy().reshape(-1)
                                               for tap in taps])


def _bias_names(taps):
    """What may be a selection bias, None for none. By their name first: where one is zero, as in a model that was never
    trained, it chooses nothing else and is part of the rule all the same. Then what merely has the shape and differs
    from expert to expert."""
    names = [name for name in taps[0].biases if all(name in tap.biases for tap in taps)]
    named = [name for name in names if name.endswith(BIASES)]
    return [*named, None, *(name for name in names if name not in named and np.ptp(_bias(taps, name), -1).min() > 0)]


def _selections(config, taps):
    """(Rule, name of its bias or None): all ways to choose, whatever the gate weights."""
    shape = dict(experts=taps[0].experts, top_k=taps[0].top_k)
    groups = (first_number(config, ("n_group", "num_expert_group")) or 1,
              first_number(config, ("topk_group", "num_limited_groups")) or 1)
    fits = shape["experts"] % groups[0] == 0 and groups[1] < groups[0]
    for num_groups, kept in [groups] * fits + [(1, 1)]:
        for name in _bias_names(taps):
            for scoring in ("sigmoid", "softmax", "topk_softmax") if name is not None else ("softmax",):
                yield Rule(scoring, False, num_groups=num_groups, top_k_groups=kept, **shape), name


def _weightings(rule, name, family):
    """The rules that choose as `rule` does, by their gate weights."""
    kinds = [("softmax", True), ("softmax", False), ("sigmoid", True), ("sigmoid", False)]
    if name is not None:
        kinds = [kind for kind in kinds if kind[0] == rule.scoring] or [("topk_softmax", True)]
    elif family in OVER_THE_CHOSEN:
        kinds.insert(0, ("topk_softmax", True))
    for scoring, renormalize in kinds:
        yield Rule(scoring, renormalize, rule.experts, rule.top_k, rule.num_groups, rule.top_k_groups)


def _stacked(taps, name):
    return np.stack([getattr(tap, name).float().cpu().numpy() for tap in taps], 1)


def _weight_misfit(rule, logits, ids, weights):
    """Share of rows [n, L] whose gate weights are not those of the rule, up to one factor a layer."""
    ours = gate_weights(rule, logits, ids)
    factor = (weights * ours).sum((0, 2)) / np.maximum((ours * ours).sum((0, 2)), 1e-30)
    error = np.abs(weights - factor[:, None] * ours).max(-1)
    return float((error > WEIGHT_ERROR * np.abs(weights).max(-1)).mean())


def identify(model, taps):
    """(Rule, selection bias [L, E] or None) of routers that have run over a probe."""
    config, family = text_config(model), type(model).__name__
    logits, ids = _stacked(taps, "logits"), _stacked(taps, "ids").astype(np.int64)
    if any(tap.weights is None for tap in taps):
        raise Refusal(INPUT, f"{family}: its experts are given no gate weights, so that the scoring stays unknown")
    weights, best = _stacked(taps, "weights"), 1.0
    chosen = []
    for rule, name in _selections(config, taps):
        wrong = float(disagreements(rule, logits, ids, _bias(taps, name)).mean())
        best = min(best, wrong)
        if wrong > TOLERATED:
            continue
        chosen.append(name)
        for weighted in _weightings(rule, name, getattr(config, "model_type", "")):
            if _weight_misfit(weighted, logits, ids, weights) <= TOLERATED:
                for tap in taps:
                    tap.bias = tap.biases[name] if name is not None else None
                return weighted, _bias(taps, name)
    found = ("none of them gives the gate weights that the experts received" if chosen
             else f"the nearest one differs in {100 * best:.3g} % of the rows")
    raise Refusal(INPUT, f"{family}: its routers follow no rule that a trace can state (expected softmax or sigmoid "
                         f"scores with a bias or groups; {found}); --routing ids records the choices themselves")
