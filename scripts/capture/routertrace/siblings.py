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
        after = torch.arange(length, device=ids.device) - passes.prompt
        inner = torch.nonzero((after >= 0) & (after % len(passes.path) > 0)).flatten()  # positions with siblings
        roots = int((after >= 0).sum()) - len(inner)
        draft.become_target()
        text = Text(model, ids)
        draft.become_draft(bits, residents)
        likely = Chains(text, (inner - 1).expand(rows, -1)).step(ids[:, inner - 1])
        tokens = likely.topk(width, -1).indices  # [rows, inner, width], the one that decides first
        draft.become_target()
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


def _routed(text, taps, positions, tokens):
    """(ids, gates) [rows * positions, k] of each tap for these tokens [rows, positions] in the place of the text's."""
    for tap in taps:
        tap.record = True
    try:
        Chains(text, positions.expand(text.batch, -1)).step(tokens)
        return [(tap.ids, gates_of(tap.weights)) for tap in taps]
    finally:
        for tap in taps:
            tap.record = False
            tap.forget()
