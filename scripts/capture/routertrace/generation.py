"""Runs a model over prompts and records every router: a prefill pass each batch, then one decode pass a token."""

from dataclasses import dataclass

import torch


@dataclass
class Captured:
    """One sequence: its prompt (phase 0) and what the model wrote (phase 1), as far as it was fed back."""

    token_ids: object  # [n]
    phase: object  # [n]
    logits: object  # float32 [n, L, E]
    ids: object  # [n, L, k], as the experts received them, and so
    weights: object  # float32 [n, L, k], or None
    channels: object = None  # float16 [n, L, H] magnitudes of what the experts received, where they are asked for


def sample(logits, temperature, generator):
    """The next token [B] from logits [B, V]; temperature 0 takes the best."""
    if temperature == 0:
        return logits.argmax(-1)
    weights = torch.softmax(logits.float() / temperature, -1)
    return torch.multinomial(weights, 1, generator=generator)[:, 0]


class _Recording:
    """Switches all taps on, and collects what a forward pass left in them as [B, tokens, L, ...]."""

    def __init__(self, taps, channels):
        self.taps, self.found = taps, {"logits": [], "ids": [], "weights": [], "channels": []}
        self.channels = channels

    def __enter__(self):
        for tap in self.taps:
            tap.record, tap.record_channels = True, self.channels
        return self

    def __exit__(self, *_):
        for tap in self.taps:
            tap.record = tap.record_channels = False
            tap.forget()

    def collect(self, batch):
        for name, passes in self.found.items():
            parts = [getattr(tap, name) for tap in self.taps]
            if all(part is not None for part in parts):
                passes.append(torch.stack(parts, 1).unflatten(0, (batch, -1)))
                if name == "channels":
                    passes[-1] = passes[-1].half().cpu()

    def result(self):
        return [torch.cat(passes, 1).cpu().numpy() if passes else None for passes in self.found.values()]


@torch.inference_mode()
def capture(model, taps, prompts, decode, temperature, seed, end_tokens=(), channels=False):
    """`decode` tokens beyond each of `prompts` (lists of token ids). Shorter prompts are padded on the left; what the
    pads routed is dropped. A sequence ends before the first of `end_tokens`."""
    device = model.device
    generator = torch.Generator(device).manual_seed(seed)
    longest = max(map(len, prompts))
    padding = torch.tensor([longest - len(prompt) for prompt in prompts], device=device)
    ids = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts], device=device)
    slots = torch.arange(longest, device=device)
    mask = (slots[None] >= padding[:, None]).long()
    ragged = bool(padding.any())
    options = dict(attention_mask=mask, position_ids=(slots[None] - padding[:, None]).clamp(min=0)) if ragged else {}
    written = []
    with _Recording(taps, channels) as recording:
        output = model(input_ids=ids, use_cache=True, **options)
        recording.collect(len(prompts))
        for step in range(decode):
            token = sample(output.logits[:, -1], temperature, generator)
            written.append(token)
            if ragged:
                mask = torch.cat([mask, mask.new_ones(len(prompts), 1)], 1)
                options = dict(attention_mask=mask, position_ids=(longest + step - padding)[:, None])
            output = model(input_ids=token[:, None], past_key_values=output.past_key_values, use_cache=True, **options)
            recording.collect(len(prompts))
        logits, chosen, weights, inputs = recording.result()
    written = torch.stack(written, 1).tolist() if written else [[] for _ in prompts]
    sequences = []
    for row, (prompt, text) in enumerate(zip(prompts, written)):
        ends = [i for i, token in enumerate(text) if token in end_tokens]
        text = text[: ends[0]] if ends else text
        part = slice(longest - len(prompt), longest + len(text))
        sequences.append(Captured(prompt + text, [0] * len(prompt) + [1] * len(text), logits[row, part],
                                  chosen[row, part], None if weights is None else weights[row, part],
                                  None if inputs is None else inputs[row, part]))
    return sequences
