"""The elastic self-draft of a model (ELMoE-3D, arXiv 2604.14626): some experts resident, weights cut to upper bits.

The target is the model with INT8 weights (groups of 32, float16 scales): every linear map and every expert, but not the
routers, norms and embeddings. The draft is the same model with the upper bits of those weights and with routing
restricted to the resident experts. Both live in one model: `become_target` and `become_draft` rewrite its weights.
"""

import torch

from .bit_slices import GROUP
from .refusal import INPUT, Refusal


def quantise(weight):
    """As bit_slices.quantise, on tensors: int8 [..., groups, 32] (padded) and float16 scales [..., groups]."""
    padded = torch.nn.functional.pad(weight.float(), (0, -weight.shape[-1] % GROUP))
    groups = padded.unflatten(-1, (-1, GROUP))
    scale = (groups.abs().amax(-1) / 127).half()
    wide = scale.float()[..., None]
    q = torch.where(wide > 0, groups / torch.where(wide > 0, wide, 1.0), 0.0)
    return q.round().clamp(-127, 127).to(torch.int8), scale


def keep_bits(q, bits, augmented=True):
    """As bit_slices.keep_bits."""
    if bits == 8:
        return q.float()
    step = 1 << (8 - bits)
    return ((q.to(torch.int16) & -step) + (step // 2 if augmented else 0)).float()


class _Weight:
    """One weight of the model with its INT8 form. `transposed`: the input dimension is the last but one."""

    def __init__(self, module, parameter, transposed):
        self.module, self.parameter, self.transposed = module, parameter, transposed  # module: its name
        source = parameter.data.transpose(-1, -2) if transposed else parameter.data
        self.columns = source.shape[-1]
        self.q, self.scale = quantise(source)

    def value(self, bits, augmented):
        """[as the parameter] of its upper bits."""
        value = (keep_bits(self.q, bits, augmented) * self.scale.float()[..., None]).flatten(-2)[..., : self.columns]
        return value.transpose(-1, -2) if self.transposed else value

    def write(self, bits, augmented):
        self.parameter.data.copy_(self.value(bits, augmented))


def _untie_head(model):
    """The head is cut, the embedding is not: they need a weight each."""
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    if head is not None and head.weight is embedding.weight:
        head.weight = torch.nn.Parameter(head.weight.data.clone(), requires_grad=False)


def _weights(model, routers):
    """(name of its module, parameter, transposed) of all linear maps and stacked experts outside the routers."""
    inside = {id(child) for router in routers for child in router.modules()}
    for name, module in model.named_modules():
        if id(module) in inside:
            continue
        if isinstance(module, torch.nn.Linear):
            yield name, module.weight, False
        else:
            transposed = bool(getattr(module, "is_transposed", False))
            for parameter in module.parameters(recurse=False):
                if parameter.dim() == 3 and parameter.is_floating_point():
                    yield name, parameter, transposed


class ElasticDraft:
    def __init__(self, model, taps):
        _untie_head(model)
        self.taps = taps
        found = list(_weights(model, [tap.module for tap in taps]))
        for tap in taps:
            layer = tap.name.rsplit(".", 1)[0] + "."
            if not any(name.startswith(layer) and p.is_floating_point() for name, p, _ in found):
                raise Refusal(INPUT, f"{layer[:-1]}: no expert weights to cut (expected a checkpoint in bfloat16, "
                                     "float16 or float32, not one that is quantised already)")
        self.weights = [_Weight(name, p, t) for name, p, t in found]
        self.written = None
        self.become_target()

    def become_target(self):
        self._become(8, True, None)

    def become_draft(self, bits, residents=None, augmented=True):
        """`residents` [L, E] bool, or None for all experts."""
        self._become(bits, augmented, residents)

    def _become(self, bits, augmented, residents):
        if self.written != (bits, augmented or bits == 8):
            for weight in self.weights:
                weight.write(bits, augmented)
            self.written = (bits, augmented or bits == 8)
        for layer, tap in enumerate(self.taps):
            absent = None if residents is None else ~torch.as_tensor(residents[layer], device=tap.module_device())
            tap.absent = absent if absent is not None and bool(absent.any()) else None


class Slices:
    """Within it, the experts of a draft's taps compute what `upper_alone` of a tap's `between` [n, k] marks from the upper
    `bits` of their weights, and the other choices whole. The model is the target."""

    def __init__(self, draft, bits):
        self.draft, self.bits, self.originals = draft, bits, []

    def __enter__(self):
        for tap in self.draft.taps:
            inside = tap.name.rsplit(".", 1)[0] + ".experts"
            own = [w for w in self.draft.weights if w.module == inside or w.module.startswith(inside + ".")]
            parts = [(w.parameter, w.parameter.data, w.value(self.bits, True).to(w.parameter.dtype)) for w in own]
            self.originals.append((tap.served, tap.served.forward))
            tap.served.forward = self._both(tap, tap.served.forward, parts)

    def __exit__(self, *failure):
        for served, original in self.originals:
            served.forward = original

    @staticmethod
    def _both(tap, original, parts):
        def compute(*arguments, **options):
            upper = torch.zeros_like(tap.weights, dtype=torch.bool) | tap.between.upper_alone
            whole_part = tap.with_weights(arguments, options, tap.weights * ~upper)
            upper_part = tap.with_weights(arguments, options, tap.weights * upper)
            whole = original(*whole_part[0], **whole_part[1])
            for parameter, _, cut in parts:
                parameter.data = cut
            try:
                return whole + original(*upper_part[0], **upper_part[1])
            finally:
                for parameter, all_bits, _ in parts:
                    parameter.data = all_bits
        return compute


def most_popular(popularity, fraction, top_k):
    """Residents [L, E] bool: the round(fraction x E) most chosen experts of each layer, at least top_k, ties to the
    lower index. `popularity` [L, E] counts choices."""
    layers, experts = popularity.shape
    capacity = max(top_k, min(experts, int(fraction * experts + 0.5)))
    order = torch.as_tensor(-popularity).argsort(dim=-1, stable=True)[:, :capacity]
    return torch.zeros(layers, experts, dtype=torch.bool).scatter_(1, order, True)
