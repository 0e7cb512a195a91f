"""The rule by which a layer chooses experts, in NumPy; what `host/trace/scoring.hpp` does in C++.

It serves one promise: the logits that a trace stores choose exactly the experts that the model chose.
"""

from dataclasses import dataclass

import numpy as np

BIASES = ("e_score_correction_bias", "expert_bias", "score_correction_bias")  # names of selection biases in models
TIE = 1e-6  # relative; a few rounding errors of float32
LOWERED = 1e-5  # relative; rounding errors of scores, as logits


@dataclass(frozen=True)
class Rule:
    scoring: str = "softmax"  # softmax | sigmoid | topk_softmax
    renormalize: bool = False  # the chosen weights are rescaled to sum 1
    experts: int = 0
    top_k: int = 0
    num_groups: int = 1  # DeepSeek: experts can be chosen only from the `top_k_groups` best of `num_groups` groups
    top_k_groups: int = 1


def _softmax(logits):
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def selection_scores(rule, logits, bias=None):
    """Scores [..., E] whose largest are chosen; experts of groups that lost have -inf. `bias` [E] or [layers, E]."""
    scores = np.asarray(logits, np.float32)
    biased = bias is not None
    if biased:
        own = {"sigmoid": lambda x: 1 / (1 + np.exp(-x)), "softmax": _softmax, "topk_softmax": lambda x: x}
        scores = own[rule.scoring](scores) + np.asarray(bias, np.float32)
    if rule.top_k_groups < rule.num_groups:
        grouped = scores.reshape(*scores.shape[:-1], rule.num_groups, -1)
        # DeepSeek-V2 takes a group's best score, V3 (with a bias) the sum of its two best.
        value = np.sort(grouped, -1)[..., -2:].sum(-1) if biased else grouped.max(-1)
        order = np.argsort(-value, -1, kind="stable")
        lost = np.ones(value.shape, bool)
        np.put_along_axis(lost, order[..., : rule.top_k_groups], False, -1)
        scores = np.where(lost[..., None], -np.inf, grouped).reshape(scores.shape)
    return scores


def select(rule, logits, bias=None):
    """Chosen experts [..., k]: descending selection score, the lower index first on ties."""
    return np.argsort(-selection_scores(rule, logits, bias), -1, kind="stable")[..., : rule.top_k]


def gate_weights(rule, logits, ids):
    """Weights [..., k] of the chosen experts `ids`: scores without any selection bias."""
    chosen = np.take_along_axis(np.asarray(logits, np.float32), ids, -1)
    if rule.scoring == "topk_softmax":
        return _softmax(chosen)
    scores = 1 / (1 + np.exp(-chosen)) if rule.scoring == "sigmoid" else np.take_along_axis(_softmax(logits), ids, -1)
    return scores / scores.sum(-1, keepdims=True) if rule.renormalize else scores


def disagreements(rule, logits, ids, bias=None):
    """Rows [...] in which the logits choose another set than `ids` [..., k]."""
    return (np.sort(select(rule, logits, bias), -1) != np.sort(ids, -1)).any(-1)


def _untie(stored, logits, ids):
    """Rows of `stored` where an expert that lost by less than a rounding error goes below the least chosen one."""
    exact, dtype = np.asarray(logits, np.float32), stored.dtype.type
    chosen = np.zeros(stored.shape, bool)
    np.put_along_axis(chosen, ids, True, -1)
    least = np.where(chosen, exact, np.inf).min(-1, keepdims=True)
    tied = ~chosen & (exact <= least + TIE * np.maximum(1, np.abs(least)))
    floor = np.where(chosen, stored, np.inf).min(-1, keepdims=True).astype(dtype)
    return np.where(tied & (stored >= floor), np.nextafter(floor, dtype(-np.inf)), stored)


def _lower(rule, stored, ids, bias):
    """float32 rows where experts that only the rule chooses, by a rounding error of its scores, are lowered until it
    does not, by about LOWERED of their logits at most."""
    for step in LOWERED / 2 ** np.arange(9, -1, -1):
        own, wrong = select(rule, stored, bias), disagreements(rule, stored, ids, bias)
        if not wrong.any():
            break
        only = np.zeros(stored.shape, bool)
        np.put_along_axis(only, own, True, -1)
        np.put_along_axis(only, ids, False, -1)
        stored = np.where(only & wrong[..., None], stored - np.float32(step) * np.maximum(1, np.abs(stored)), stored)
    return stored


def store_logits(rule, logits, ids, dtype, bias=None):
    """`logits` [..., E] in the stored type, choosing what the model chose (`ids` [..., k]) wherever a rounding error
    can be put right, and the number of rows in which they still do not.

    Rounding keeps order but makes ties, which the lower index wins whatever the model did; and a model that compares
    float32 probabilities sees ties that its logits do not have. So an expert that lost by less than such an error goes
    one step below the least chosen one. A selection bias or groups mix with rounded scores in ways no such step undoes:
    store these traces as float32, where logits are lowered by as little as it takes.
    """
    stored = logits.astype(dtype)
    wrong = disagreements(rule, stored, ids, bias)
    if wrong.any() and bias is None:
        stored[wrong] = _untie(stored[wrong], logits[wrong], ids[wrong])
    elif wrong.any() and dtype == np.float32:
        rows = np.broadcast_to(bias, stored.shape)[wrong]
        stored[wrong] = _lower(rule, stored[wrong], ids[wrong], rows)
    return stored, int(disagreements(rule, stored, ids, bias).sum())
