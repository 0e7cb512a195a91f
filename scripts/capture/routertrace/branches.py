"""Draft chains that branch off a target's text at many places at once, in few forward passes.

A draft that shares the target's keys and values (as an elastic self-draft does) sees at position p the target's keys
and values of all earlier tokens, and its own from p on. So the text is run once, its cache kept, and the chains of all
starting positions are run side by side as extra columns behind the text; an attention mask lets each column see the
text before its chain's start and the earlier columns of its own chain, and nothing else.
"""

import torch
from transformers import DynamicCache

from .refusal import INPUT, Refusal


def _window(config):
    """The sliding window of the attention layers that have one, or None."""
    window = getattr(config, "sliding_window", None)
    return window if window and getattr(config, "use_sliding_window", True) is not False else None


def _masks(config, allowed, distance, dtype):
    """`allowed` [B, Q, K] as the attention mask a model of this configuration takes."""

    def additive(see):
        return torch.zeros(see.shape, dtype=dtype, device=see.device).masked_fill_(~see, torch.finfo(dtype).min)[
            :, None
        ]

    window = _window(config)
    kinds = set(getattr(config, "layer_types", None) or [])
    if kinds - {"full_attention", "sliding_attention"}:
        raise Refusal(INPUT, f"{config.model_type}: attention layers of kind {', '.join(sorted(kinds))} (expected "
                             "full_attention or sliding_attention to branch off a cache)")
    if "sliding_attention" in kinds:
        return {"full_attention": additive(allowed), "sliding_attention": additive(allowed & (distance < window))}
    return additive(allowed & (distance < window) if window and not kinds else allowed)


class Text:
    """The target's run over `ids` [B, T] (padded on the right): its logits [B, T, V], its keys and values."""

    def __init__(self, model, ids):
        self.model = model
        self.config = model.config.get_text_config()
        self.batch, self.length = ids.shape
        self.cache = DynamicCache()
        self.positions = torch.arange(self.length, device=ids.device)
        distance = (self.positions[:, None] - self.positions[None]).expand(self.batch, -1, -1)
        masks = _masks(self.config, distance >= 0, distance, model.dtype)
        self.logits = model(input_ids=ids, attention_mask=masks, position_ids=self.positions[None].expand_as(ids),
                            past_key_values=self.cache, use_cache=True).logits
        self.kept = [(layer.keys, layer.values) for layer in self.cache.layers]

    def restore(self):
        """Drops the columns of all chains from the cache."""
        for layer, (keys, values) in zip(self.cache.layers, self.kept):
            layer.keys, layer.values = keys, values


class Chains:
    """One chain from each of `starts` [B, S], positions in the text; at most one Chains of a Text at a time."""

    def __init__(self, text, starts):
        text.restore()
        self.text, self.starts, self.steps = text, starts, 0
        self.before = text.positions[None, None] < starts[..., None]  # [B, S, T]
        self.text_distance = starts[..., None] - text.positions[None, None]
        self.same = torch.eye(starts.shape[1], dtype=torch.bool, device=starts.device).expand(text.batch, -1, -1)

    def step(self, ids):
        """Feeds the next token [B, S] of every chain; logits [B, S, V] of what follows it."""
        text, step = self.text, self.steps
        chain = torch.zeros_like(self.same, dtype=torch.long)
        allowed = torch.cat([self.before] + [self.same] * (step + 1), -1)
        distance = torch.cat([self.text_distance + step] + [chain + step - i for i in range(step + 1)], -1)
        masks = _masks(text.config, allowed, distance, text.model.dtype)
        self.steps += 1
        return text.model(input_ids=ids, attention_mask=masks, position_ids=self.starts + step,
                          past_key_values=text.cache, use_cache=True).logits
