"""Real draft rollouts on captured text, and what the target's routers do with all columns, rejected ones included.

The text was sampled by the target alone; the rollouts have the law of the speculative run that would have written it.
Speculative sampling emits x ~ p and drafts y ~ q as a pair that agrees as often as possible. Given the text's x, the
draft's y is therefore x with probability min(1, q(x) / p(x)), a draw from the excess (q - p)+ otherwise; after a
rejection the chain goes on from the draft's own token, y ~ q. At temperature 0, y is the draft's best token and
accepted where it equals x.
"""

from dataclasses import dataclass

import numpy as np
import torch

from .branches import Chains, Text

STARTS_AT_ONCE = 256


@dataclass
class Round:
    position: int  # index into the sequence of the first verify column
    drafted: int
    accepted: int
    ids: np.ndarray  # [drafted + 1, L, k]


def _draw(weights, generator):
    """One index from the last axis of non-negative `weights` [B, S, V]."""
    return torch.multinomial(weights.flatten(0, 1), 1, generator=generator).view(weights.shape[:2])


def _propose(p, q_logits, x, on_text, temperature, generator):
    """The draft's token [B, S], given the text's next token `x` where the chain still is `on_text`."""
    if temperature == 0:
        return q_logits.argmax(-1)
    q = torch.softmax(q_logits.float() / temperature, -1)
    free = _draw(q, generator)
    at_x = x[..., None]
    ratio = q.gather(-1, at_x)[..., 0] / p.gather(-1, at_x)[..., 0].clamp(min=1e-30)
    takes = torch.rand(ratio.shape, generator=generator, device=ratio.device) < ratio
    excess = (q - p).clamp(min=0)
    empty = excess.sum(-1, keepdim=True) <= 0  # p = q: nothing is ever rejected
    other = _draw(torch.where(empty, q, excess), generator)
    return torch.where(on_text, torch.where(takes, x, other), free)


def _draft(text, ids, starts, depth, temperature, generator):
    """Drafted tokens [B, S, depth] of a chain from every start, and how many of them are accepted [B, S]."""
    chains, token = Chains(text, starts), ids.gather(1, starts)
    on_text = torch.ones_like(starts, dtype=torch.bool)
    accepted, drafted = torch.zeros_like(starts), []
    for step in range(depth):
        q = chains.step(token)
        at = (starts + step).clamp(max=text.length - 1)
        rows = torch.arange(text.batch, device=ids.device)[:, None]
        p = torch.softmax(text.logits[rows, at].float() / (temperature or 1), -1)
        x = ids.gather(1, (at + 1).clamp(max=text.length - 1))
        token = _propose(p, q, x, on_text, temperature, generator)
        on_text = on_text & (token == x)
        accepted += on_text
        drafted.append(token)
    return torch.stack(drafted, -1), accepted


def _walk(accepted, first, length, depth):
    """(position, drafted, accepted) of the rounds of one sequence: each starts where the last one's bonus token stands.
    A round near the end drafts only what the text can judge."""
    rounds, position = [], first
    while position + 1 < length:
        drafted = min(depth, length - 1 - position)
        taken = min(int(accepted[position]), drafted)
        rounds.append((position, drafted, taken))
        position += taken + 1
    return rounds


def _verify(text, taps, columns, starts):
    """The target's choices [B, S, columns, L, k] along chains of tokens `columns` [B, S, columns]."""
    chains, chosen = Chains(text, starts), []
    for tap in taps:
        tap.record = True
    try:
        for step in range(columns.shape[-1]):
            chains.step(columns[..., step])
            ids = torch.stack([tap.ids for tap in taps], 1)
            chosen.append(ids.unflatten(0, starts.shape))
    finally:
        for tap in taps:
            tap.record = False
            tap.forget()
    return torch.stack(chosen, 2).cpu().numpy()


@torch.inference_mode()
def record(model, draft, sequences, firsts, residents, bits, depth, temperature, seed):
    """Rounds of every sequence (lists of token ids), from its token `firsts` on: a list of Round each."""
    generator = torch.Generator(model.device).manual_seed(seed)
    longest = max(map(len, sequences))
    ids = torch.tensor([sequence + [0] * (longest - len(sequence)) for sequence in sequences], device=model.device)
    draft.become_target()
    text = Text(model, ids)
    draft.become_draft(bits, residents)
    begin = min(firsts)
    tokens = torch.zeros(*ids.shape, depth, dtype=torch.long, device=ids.device)
    accepted = torch.zeros_like(ids)
    for first in range(begin, longest, STARTS_AT_ONCE):
        starts = torch.arange(first, min(longest, first + STARTS_AT_ONCE), device=ids.device).expand(len(ids), -1)
        part = slice(first, first + starts.shape[1])
        tokens[:, part], accepted[:, part] = _draft(text, ids, starts, depth, temperature, generator)
    draft.become_target()
    walks = [_walk(accepted[row].tolist(), firsts[row], len(sequence), depth) for row, sequence in enumerate(sequences)]
    most = max(1, max(map(len, walks)))
    starts = torch.zeros(len(ids), most, dtype=torch.long, device=ids.device)
    for row, walk in enumerate(walks):
        starts[row, : len(walk)] = torch.tensor([position for position, _, _ in walk], device=ids.device)
    columns = torch.cat([ids.gather(1, starts)[..., None],
                         tokens.gather(1, starts[..., None].expand(-1, -1, depth))], -1)
    chosen = [_verify(text, draft.taps, columns[:, part:part + STARTS_AT_ONCE], starts[:, part:part + STARTS_AT_ONCE])
              for part in range(0, most, STARTS_AT_ONCE)]
    chosen = np.concatenate(chosen, 1)
    text.restore()
    return [[Round(position, drafted, taken, chosen[row, i, : drafted + 1])
             for i, (position, drafted, taken) in enumerate(walk)] for row, walk in enumerate(walks)]
