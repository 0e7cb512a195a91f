"""Input channels that experts do without, in a model's own forward pass: the key `channels` of demand rules.

Channel j of an expert is loaded for a pass where gate times |x_j| reaches a threshold in a token of the pass that uses the
expert; all its tokens compute on what is loaded, and the other channels of their input are 0.
"""

import torch

from .demands import ONE
from .refusal import INPUT, Refusal


def loaded(magnitudes, gates, used, ids, passes, experts, theta):
    """[n, k, channels] bool: what is loaded of the expert of each choice. magnitudes: [n, channels]; gates, of ONE, used
    (bool), ids: [n, k]; passes: [n], -1 of tokens that take everything."""
    wants = (gates[..., None] * magnitudes[:, None].double() >= theta * ONE) & (used & (passes >= 0)[:, None])[..., None]
    place = (passes.clamp(min=0)[:, None] * experts + ids).flatten()
    counts = torch.zeros((int(passes.max()) + 1) * experts, magnitudes.shape[1], dtype=torch.int32, device=ids.device)
    counts.index_add_(0, place, wants.flatten(0, 1).int())
    return (counts[place] > 0).view_as(wants) | (passes < 0)[:, None, None]


class Channels:
    """Within it, the experts of taps compute on loaded channels alone; `between` of a tap (loss.DemandTap) says what tokens
    use, and is told what of the gates' mass is lost with the others."""

    def __init__(self, taps, theta):
        self.taps, self.theta, self.originals = taps, theta, []

    def __enter__(self):
        for tap in self.taps:
            self.originals.append((tap.served, tap.served.forward))
            tap.served.forward = self._masked(tap, tap.served.forward)

    def __exit__(self, *failure):
        for served, original in self.originals:
            served.forward = original

    def _masked(self, tap, original):
        def compute(*arguments, **options):
            found = {}

            def sort(value):
                """Rows of pairs in the place of rows of tokens."""
                if not isinstance(value, torch.Tensor):
                    return value
                if value.numel() == tap.ids.numel():
                    return value.reshape(-1, 1)
                if value.dim() < 2 or value.numel() != len(tap.ids) * value.shape[-1]:
                    raise Refusal(INPUT, f"{tap.name}: the input of its experts is not understood (expected one tensor "
                                         "[tokens, hidden])")
                found["shape"] = value.shape
                hidden = value.reshape(len(tap.ids), -1)
                mask = tap.between.load(hidden.abs(), self.theta)
                return (hidden[:, None] * mask.to(hidden.dtype)).flatten(0, 1)
            arguments, options = tuple(map(sort, arguments)), {name: sort(value) for name, value in options.items()}
            pairs = original(*arguments, **options)
            return pairs.view(*tap.ids.shape, -1).sum(1).view(found["shape"])
        return compute
