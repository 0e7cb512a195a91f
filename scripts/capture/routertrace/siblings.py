"""Trees of candidates along a text, of whose siblings one decides for the others: the rule `salient` in a model.

Column 0 of a pass stands alone. At each later column the `width` tokens that the draft holds most likely are candidates,
standing on the text before it; the most likely one decides, and the others use those of their choices that are among its
own. A token of the text that is a candidate is computed so; one that is none would have been rejected, and is column 0 of
the next pass: it decides itself.
"""

import torch

from .branches import Chains, Text
from .demands import ONE, gates_of


class Siblings:
    """Of texts [rows, length], by tap: `decided` [rows * length, experts] bool, what a token of the text may use; `mass` and
    `dropped`, gates of all columns of the trees and those that are not used, of ONE."""

    def __init__(self, decided, mass, dropped):
        self.decided, self.mass, self.dropped = decided, mass, dropped

    @classmethod
    def of(cls, model, draft, ids, passes, width, residents, bits):
        """`passes`: loss.Passes. The draft is that of `residents` and `bits`; candidates are the target's without a rule."""
        rows, length = ids.shape
        text, inner, tokens = _candidates(model, draft, ids, passes, width, residents, bits)
        roots = length - passes.prompt - len(inner)
        routed = [_routed(text, draft.taps, inner, tokens[..., j]) for j in range(width)]
        text.restore()
        same = tokens == ids[:, inner, None]
        follows = same[..., 1:].any(-1)  # [rows, inner]: the text's token is a sibling of another that decides
        siblings = cls([], [], [])
        for layer, tap in enumerate(draft.taps):
            deciding = torch.zeros(rows * len(inner), tap.experts, dtype=torch.bool, device=ids.device)
            deciding.scatter_(1, routed[0][layer][0], True)
            decided = torch.ones(rows, length, tap.experts, dtype=torch.bool, device=ids.device)
            decided[:, inner] = deciding.view(rows, len(inner), -1) | ~follows[..., None]
            siblings.decided.append(decided.flatten(0, 1))
            siblings.mass.append(rows * roots * ONE + sum(int(of[layer][1].sum()) for of in routed))
            siblings.dropped.append(sum(int((gates * ~deciding.gather(1, chosen)).sum())
                                        for chosen, gates in (of[layer] for of in routed)))
        return siblings


def channel_recall(model, draft, ids, passes, width, residents, bits, thetas):
    """{theta: (channels that siblings want, those of them that are loaded, channels loaded, channels of what is used)} of
    the same trees, counts over texts and layers. Loaded of an expert is what some token that decides in its pass wants, gate
    times magnitude at least theta; a sibling wants it of the experts that it shares with the one that decides for it."""
    rows, length = ids.shape
    plain = {tap: None for tap in draft.taps}
    text, inner, tokens = _candidates(model, draft, ids, passes, width, residents, bits, plain)
    routed = [_routed(text, draft.taps, inner, tokens[..., j], True) for j in range(width)]
    text.restore()
    of_pass = passes.of(rows, length)[0].view(rows, length).to(ids.device)
    root = torch.zeros(rows, length, dtype=torch.bool, device=ids.device)
    root[:, passes.prompt::len(passes.path)] = True
    counts = {theta: [0, 0, 0, 0] for theta in thetas}
    for layer, tap in enumerate(draft.taps):
        inside = of_pass[:, inner].flatten()
        chosen, weights, magnitudes = plain[tap]
        at_root = root.flatten()
        deciders = [(chosen[at_root], weights[at_root], magnitudes[at_root], of_pass.flatten()[at_root]),
                    (*routed[0][layer], inside)]
        for theta, sums in counts.items():
            loaded = torch.zeros((int(of_pass.max()) + 1) * tap.experts, magnitudes.shape[1], dtype=torch.bool)
            used = torch.zeros(len(loaded), dtype=torch.bool)
            for experts, gates, inputs, own in deciders:
                place = (own[:, None] * tap.experts + experts).flatten()
                wants = (gates[..., None] * inputs[:, None].double() >= theta * ONE).flatten(0, 1)
                loaded.index_put_((place,), wants, accumulate=True)
                used[place] = True
            sums[2] += int(loaded[used].sum())
            sums[3] += int(used.sum()) * loaded.shape[1]
            decides = torch.zeros(len(inside), tap.experts, dtype=torch.bool)
            decides.scatter_(1, routed[0][layer][0], True)
            for experts, gates, inputs in (of[layer] for of in routed[1:]):
                wants = gates[..., None] * inputs[:, None].double() >= theta * ONE
                wants &= decides.gather(1, experts)[..., None]
                sums[0] += int(wants.sum())
                sums[1] += int((wants & loaded[inside[:, None] * tap.experts + experts]).sum())
    return {theta: tuple(sums) for theta, sums in counts.items()}


def _candidates(model, draft, ids, passes, width, residents, bits, plain=None):
    """The text, run by the target; positions with siblings; tokens [rows, positions, width], the one that decides first.
    plain: {tap: None} to be filled with (ids, gates, magnitudes of inputs) of the text's own tokens."""
    after = torch.arange(ids.shape[1], device=ids.device) - passes.prompt
    inner = torch.nonzero((after >= 0) & (after % len(passes.path) > 0)).flatten()
    draft.become_target()
    for tap in plain or {}:
        tap.record = tap.record_channels = True
    text = Text(model, ids)
    for tap in plain or {}:
        plain[tap] = (tap.ids, gates_of(tap.weights), tap.channels)
        tap.record = tap.record_channels = False
        tap.forget()
    draft.become_draft(bits, residents)
    likely = Chains(text, (inner - 1).expand(len(ids), -1)).step(ids[:, inner - 1])
    draft.become_target()
    return text, inner, likely.topk(width, -1).indices


def _routed(text, taps, positions, tokens, with_channels=False):
    """(ids, gates) [rows * positions, k] of each tap, and the magnitudes of what its experts receive, for these tokens
    [rows, positions] in the place of the text's."""
    for tap in taps:
        tap.record, tap.record_channels = True, with_channels
    try:
        Chains(text, positions.expand(text.batch, -1)).step(tokens)
        return [(tap.ids, gates_of(tap.weights), *([tap.channels] if with_channels else [])) for tap in taps]
    finally:
        for tap in taps:
            tap.record = tap.record_channels = False
            tap.forget()
