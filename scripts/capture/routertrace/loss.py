"""What a demand rule costs a model: bits per token of text, and acceptance of a draft, with the rule in the forward pass."""

import math
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch

from .branches import Chains, Text
from .channels import Channels, loaded
from .demands import ONE, Choices, gates_of, importance_of
from .elastic_draft import Slices
from .refusal import INPUT, Refusal
from .siblings import Siblings


@dataclass
class Passes:
    """How tokens of texts [rows, length] are verified: those after the first `prompt` of a text in passes of depth + 1,
    `batch` texts together. path: [depth + 1] path probabilities by column."""

    path: list
    prompt: int
    batch: int

    def of(self, rows, length):
        """(pass [rows * length], -1 where a token is prompt; path probability of each, of ONE)."""
        columns = len(self.path)
        after = torch.arange(length) - self.prompt
        number, column = after.div(columns, rounding_mode="floor"), after.remainder(columns)
        together = torch.arange(rows) // self.batch
        passes = torch.where(after >= 0, together[:, None] * (length // columns + 1) + number, -1)
        confidence = torch.tensor([int(c * ONE + 0.5) for c in self.path])[column]
        return passes.flatten(), confidence.expand(rows, -1).flatten()


class DemandTap:
    """Stands between router and experts of one tap while a text runs: gives what a rule drops gate weight 0."""

    def __init__(self, tap, passes, confidence):
        self.tap, self.passes, self.confidence = tap, passes, confidence
        self.mass = self.dropped = 0
        self.measures, self.demand, self.decided = [], None, None
        self.upper_alone = self.used = self.gates = None

    def __call__(self, ids, weights):
        verified = self.passes >= 0
        gates = gates_of(weights[verified])
        choices = Choices(ids[verified], gates, self.confidence[verified], self.passes[verified], self.tap.experts,
                          None if self.decided is None else self.decided[verified])
        if self.demand.label == "all":
            self.measures.append(choices)
            return weights
        kept, upper = self.demand.keep(choices), self.demand.keep_upper_alone(choices)
        self.mass += int(gates.sum())
        self.dropped += int((gates * (~kept | upper)).sum())

        def of_all(values, otherwise):
            whole = torch.full(ids.shape, otherwise, dtype=values.dtype, device=ids.device)
            whole[verified] = values
            return whole
        self.upper_alone, self.used, self.gates = of_all(upper, False), of_all(kept, True), of_all(gates, 0)
        return weights * self.used.to(weights.dtype)

    def load(self, magnitudes, theta):
        """[n, k, channels] bool: what channels are loaded, where input has these magnitudes [n, channels]."""
        mask = loaded(magnitudes, self.gates, self.used, self.tap.ids, self.passes, self.tap.experts, theta)
        lost = (magnitudes[:, None] * ~mask).sum(-1) / magnitudes.sum(-1).clamp(min=1e-30)[:, None]
        self.dropped += float((self.gates * self.used * lost).sum())
        return mask


def _bits(logits, ids, prompt):
    """Bits [rows, length - prompt] of each token after the prompt."""
    cost = torch.nn.functional.cross_entropy(logits[:, prompt - 1:-1].float().transpose(1, 2), ids[:, prompt:],
                                             reduction="none")
    return cost.double().cpu().numpy() / math.log(2)


def _accepted(p_logits, q_logits, temperature):
    p, q = (torch.softmax(logits.float() / temperature, -1) for logits in (p_logits, q_logits))
    return torch.minimum(p, q).sum(-1).double().cpu().numpy()


def expected_length(accepted, depth):
    """Mean accepted length of chains of `depth` from every start, where position i + 1 of a text [rows, n] is accepted with
    probability accepted[:, i]."""
    starts = accepted.shape[1] - depth + 1
    reach, total = np.ones((len(accepted), starts)), 0.0
    for position in range(depth):
        reach = reach * accepted[:, position:position + starts]
        total = total + reach
    return total.mean(1)


class LossMeter:
    """Texts of the same length [rows, length], measured under one rule after another."""

    def __init__(self, model, draft, texts, passes, temperature, residents, bits):
        self.model, self.draft, self.texts, self.passes = model, draft, texts, passes
        self.temperature, self.residents, self.bits = temperature, residents, bits
        self.calibration = {}

    def measure(self, demand):
        """{name: [value of each text]}, and of the gate mass the share that is dropped or computed from upper slices."""
        if demand.unimportant is not None:
            demand.calibrate(self._importances(demand.word or "mass"))
        found, mass, dropped = {"bits": [], "accepted": []}, 0, 0
        for first in range(0, len(self.texts), self.passes.batch):
            ids = self.texts[first:first + self.passes.batch]
            taps = self._run(ids, demand, found)
            mass, dropped = mass + sum(t.mass for t in taps), dropped + sum(t.dropped for t in taps)
            if demand.label == "all":
                self._calibrate(taps)
        return {name: np.concatenate(parts) for name, parts in found.items()}, dropped / mass if mass else 0.0

    def _run(self, ids, demand, found):
        siblings = None
        if demand.name == "salient":
            siblings = Siblings.of(self.model, self.draft, ids, self.passes, int(demand.number), self.residents, self.bits)
        self.draft.become_target()
        passes, confidence = self.passes.of(*ids.shape)
        between = [DemandTap(tap, passes.to(ids.device), confidence.to(ids.device)) for tap in self.draft.taps]
        for layer, (tap, one) in enumerate(zip(self.draft.taps, between)):
            one.demand, tap.record, tap.between = demand, True, one
            one.decided = siblings.decided[layer] if siblings else None
        try:
            with self._inside(demand):
                text = Text(self.model, ids)
        finally:
            for tap in self.draft.taps:
                tap.record, tap.between = False, None
                tap.forget()
        found["bits"].append(_bits(text.logits, ids, self.passes.prompt))
        self.draft.become_draft(self.bits, self.residents)
        starts = text.positions[None, self.passes.prompt - 1:-1].expand(len(ids), -1)
        q = Chains(text, starts).step(ids[:, self.passes.prompt - 1:-1])
        found["accepted"].append(_accepted(text.logits[:, self.passes.prompt - 1:-1], q, self.temperature))
        text.restore()
        for layer, one in enumerate(between if siblings else []):  # of the whole tree, not of the text's tokens alone
            one.mass, one.dropped = siblings.mass[layer], siblings.dropped[layer]
        return between

    def _inside(self, demand):
        """What the experts themselves do otherwise."""
        if demand.name == "slices":
            return Slices(self.draft, self.bits)
        return Channels(self.draft.taps, demand.channels) if demand.channels else nullcontext()

    def _calibrate(self, taps):
        for tap in taps:
            for choices in tap.measures:
                for word in ("mass", "entropy", "acceptance"):
                    self.calibration.setdefault(word, []).append(importance_of(choices, word).cpu().numpy())

    def _importances(self, word):
        if word not in self.calibration:
            raise Refusal(INPUT, "a share of unimportant tokens is calibrated by the run of rule all (expected it first)")
        return np.concatenate(self.calibration[word]).tolist()
