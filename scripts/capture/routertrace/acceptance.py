"""How often the target would accept the draft's token, measured at every position of captured text.

The draft stands on the target's own text and on the target's keys and values, as the first draft token of a round does;
later draft tokens, which stand on drafted ones, are what `rollouts` records.
"""

import numpy as np
import torch

from .branches import Chains, Text
from .elastic_draft import most_popular

STARTS_AT_ONCE = 256  # bounds the attention mask


def _compare(p, q_logits, temperature):
    """Speculative sampling's acceptance, sum over tokens of min(p, q), whether both have the same best token, and what
    the draft gives its own."""
    q = torch.softmax(q_logits.float() / temperature, -1)
    return torch.minimum(p, q).sum(-1), p.argmax(-1) == q.argmax(-1), q.amax(-1)


@torch.inference_mode()
def measure(model, draft, sequences, popularity, configurations, temperature):
    """`sequences`: lists of token ids. `configurations`: (cache fraction, bits, augmented) each. Three float32
    arrays [configurations, tokens]: acceptance probability of, greedy agreement on, and the draft's own probability of
    its best token for each position; 1 at the first of a sequence, for which nothing is proposed."""
    longest = max(map(len, sequences))
    ids = torch.tensor([sequence + [0] * (longest - len(sequence)) for sequence in sequences], device=model.device)
    tokens = sum(map(len, sequences))
    accept = np.ones((len(configurations), tokens), np.float32)
    agree, own = np.ones_like(accept), np.ones_like(accept)
    draft.become_target()
    text = Text(model, ids)
    starts = text.positions[None].expand(len(sequences), -1)
    order = sorted(range(len(configurations)), key=lambda c: (configurations[c][1:], configurations[c][0]))
    for c in order:  # weights are rewritten once for each (bits, augmented)
        fraction, bits, augmented = configurations[c]
        draft.become_draft(bits, most_popular(popularity, fraction, draft.taps[0].top_k), augmented)
        for first in range(0, longest, STARTS_AT_ONCE):
            part = slice(first, first + STARTS_AT_ONCE)
            q = Chains(text, starts[:, part]).step(ids[:, part])
            p = torch.softmax(text.logits[:, part].float() / temperature, -1)
            probability, same, confidence = (values.float().cpu().numpy() for values in _compare(p, q, temperature))
            begin = 0
            for row, sequence in enumerate(sequences):
                here = slice(begin + first + 1, min(begin + first + 1 + probability.shape[1], begin + len(sequence)))
                count = max(0, here.stop - here.start)
                accept[c, here.start:here.start + count] = probability[row, :count]
                agree[c, here.start:here.start + count] = same[row, :count]
                own[c, here.start:here.start + count] = confidence[row, :count]
                begin += len(sequence)
    draft.become_target()
    text.restore()
    return np.clip(accept, 0, 1), agree, np.clip(own, 0, 1)
