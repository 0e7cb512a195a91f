"""What a token asks for, in a model's own forward pass: the demand rules of `moecarlo`, on tensors.

A rule says which of the experts that the router chose are computed; the others get gate weight 0, and the weights of those
that remain stay as they are. Tokens are verified in passes of `depth` + 1 neighbours, `batch` texts at a time, and column i
of a pass has path probability `path[i]`. Gates and path probabilities are whole numbers of 65535, as in a simulation.
"""

import math
import re
from dataclasses import dataclass, field

import torch

from .refusal import USAGE, Refusal

ONE = 65535  # a gate of 1, a path probability of 1


@dataclass
class Choices:
    """The tokens of one layer. ids, gates: [n, k], gates of a token adding up to about ONE; confidence: [n], of ONE;
    passes: [n], the pass that each token is verified in; experts: how many there are; decided: [n, experts] bool, what the
    candidate chose that decides for a token (siblings.py), everything where it decides itself."""

    ids: torch.Tensor
    gates: torch.Tensor
    confidence: torch.Tensor
    passes: torch.Tensor
    experts: int
    decided: torch.Tensor | None = None
    place: torch.Tensor = field(init=False)  # [n, k]: of a choice among those of its token, the largest gate first
    first: torch.Tensor = field(init=False)  # [n, k] bool: the largest gate of a token, ties to the lower expert
    half: torch.Tensor = field(init=False)  # [n, k] bool: the ceil(k / 2) largest

    def __post_init__(self):
        rank = self.gates * self.experts - self.ids
        self.place = rank.argsort(dim=1, descending=True).argsort(dim=1)
        self.first, self.half = self.place == 0, self.place < (self.ids.shape[1] + 1) // 2

    @property
    def products(self):
        return self.gates * self.confidence[:, None]

    def by_pass(self, values, reduce):
        """[passes, experts] of `values` [n, k], 0 where an expert was not chosen."""
        count = int(self.passes.max()) + 1
        place = (self.passes[:, None] * self.experts + self.ids).flatten()
        found = torch.zeros(count * self.experts, dtype=torch.long, device=values.device)
        return found.scatter_reduce_(0, place, values.flatten(), reduce, include_self=True).view(count, self.experts)

    def of_pass(self, loaded):
        """[n, k]: whether what a token chose is `loaded` [passes, experts] in its pass."""
        return loaded[self.passes[:, None], self.ids]


def gates_of(weights):
    """[n, k] whole numbers of ONE that gate weights are of those of their token."""
    share = weights.double()
    return (share / share.sum(1, keepdim=True) * ONE + 0.5).long()


def at_least(theta, one):
    """theta of `one`, rounded up: what a whole number has to reach."""
    product = theta * one
    return int(product) + (int(product) < product)


def _threshold(choices, theta, scope):
    kept = (choices.products >= at_least(theta, ONE * ONE)) | choices.first
    return kept if scope == "token" else choices.of_pass(choices.by_pass(kept.long(), "amax") > 0)


def _budget(choices, experts):
    first = choices.by_pass(choices.first.long(), "amax") > 0
    wanted = choices.by_pass(torch.ones_like(choices.ids), "amax") > 0
    sums = choices.by_pass(choices.products, "sum")
    order = torch.where(first, sums.max() + 1, sums).argsort(dim=1, descending=True, stable=True)
    place = torch.empty_like(order).scatter_(1, order, torch.arange(choices.experts).expand_as(order))
    return choices.of_pass(first | (wanted & (place < experts)))


def _half(choices, theta, importance):
    measure = importance_of(choices, importance)
    unimportant = measure >= theta if importance == "mass" else measure < theta
    return choices.half | ~unimportant[:, None]


def _top_p(choices, mass):
    gates = torch.empty_like(choices.gates).scatter_(1, choices.place, choices.gates)  # the largest first
    before = (gates.cumsum(1) - gates).gather(1, choices.place)
    return choices.first | (before < at_least(mass, ONE)) | (mass >= 1)


def importance_of(choices, importance):
    """[n] of 1: what the rule `half` judges a token by."""
    if importance == "mass":
        return (choices.gates * choices.half).sum(1) / ONE
    if importance == "acceptance":
        return choices.confidence / ONE
    share = choices.gates / ONE
    return -(share * share.clamp(min=1e-12).log()).sum(1) / math.log(max(2, choices.ids.shape[1]))


SHARE = r"(?:0|1|0?\.\d+|\de-\d+)"
CHANNELS = r"channels (?P<CHANNELS>\d+\.?\d*)"
FORMS = [re.compile(form.replace("SHARE", SHARE)) for form in (
    "all", rf"all\({CHANNELS}\)", rf"threshold\((?P<a>SHARE)(?:, (?P<scope>token))?(?:, {CHANNELS})?\)",
    r"budget\((?P<a>[1-9]\d*)\)", r"top_p\((?P<a>SHARE)\)", r"slices\((?P<a>SHARE)\)",
    r"salient\(width (?P<a>[2-9]|[1-9]\d+)\)",
    r"half\((?P<share>unimportant )?(?P<a>SHARE)(?:, (?P<importance>entropy|acceptance))?\)")]


class Demand:
    """A rule with its numbers, as studies and files name it: "threshold(0.05, token)", "half(unimportant 0.5)"."""

    def __init__(self, label):
        form = next((found for found in (form.fullmatch(label) for form in FORMS) if found), None)
        if form is None:
            raise Refusal(USAGE, f"--demand {label} (expected all, threshold(THETA), budget(N), top_p(MASS), half(THETA), "
                                 "half(unimportant SHARE), slices(THETA) or salient(width N); threshold(THETA, token), "
                                 "half(THETA, entropy | acceptance); all(channels C), threshold(THETA, channels C))")
        said = form.groupdict()
        self.label, self.name = label, label.partition("(")[0]
        self.number = float(said.get("a") or 0)
        self.word = said.get("scope") or said.get("importance")
        self.unimportant = self.number if said.get("share") else None
        self.channels = float(said.get("CHANNELS") or 0)

    def calibrate(self, measures):
        """The threshold by which the stated share of the calibration tokens is not important. measures: of those."""
        ordered = sorted(measures)
        count = round(self.unimportant * len(ordered))
        if self.word is None:
            self.number = ordered[len(ordered) - count] if count else 2
        else:
            self.number = ordered[count - 1] + 1e-9 if count else 0

    def keep(self, choices):
        """[n, k] bool: what is computed."""
        if self.name == "threshold":
            return _threshold(choices, self.number, self.word or "pass")
        if self.name == "top_p":
            return _top_p(choices, self.number)
        if self.name == "budget":
            return _budget(choices, int(self.number))
        if self.name == "half":
            return _half(choices, self.number, self.word or "mass")
        if self.name == "salient":
            return choices.decided.gather(1, choices.ids)
        return torch.ones_like(choices.first)

    def keep_upper_alone(self, choices):
        """[n, k] bool: what is computed from the upper slice of the expert's weights alone."""
        if self.name == "slices":
            return choices.gates < at_least(self.number, ONE)
        return torch.zeros_like(choices.first)
