"""Finds the routers of a Hugging Face MoE model, records what they compute, and restricts what they may choose.

Families differ in what a router returns and where its attributes sit, so none of that is believed. What was chosen is
what the module called `experts` is asked to compute: its integer argument, or, where it is given a copy of all tokens
for every expert, the copies that are not zero. The logits are the first linear map to one output per expert inside the
router. By what rule the one leads to the other is found out and checked in `rules`. For a draft, a tap masks the experts
that are not resident.
"""

import re

import torch
from torch.overrides import TorchFunctionMode

from .refusal import INPUT, Refusal
from .selection import BIASES

EXPERT_KEYS = ("num_experts", "num_local_experts", "n_routed_experts")
TOP_K_KEYS = ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k", "moe_top_k", "top_k", "topk")
SHARED_KEYS = ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts", "num_shared_expert")
PROBE = (4, 48)  # sequences, random tokens each, from which top-k and the rule are found out


def first_number(source, keys):
    for key in keys:
        value = getattr(source, key, None)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def text_config(model):
    return model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config


class _FirstLinear(TorchFunctionMode):
    """Within it, the first linear map with `experts` outputs is recorded, and masked by `absent` [experts]."""

    def __init__(self, experts, absent):
        super().__init__()
        self.experts, self.absent, self.logits = experts, absent, None

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if self.logits is None and function is torch.nn.functional.linear and result.shape[-1] == self.experts:
            self.logits = result.detach().reshape(-1, self.experts)
            if self.absent is not None:
                result = result.masked_fill(self.absent, float("-inf"))
        return result


def _tensors(arguments, options):
    return [part.detach() for part in [*arguments, *options.values()] if isinstance(part, torch.Tensor)]


class Tap:
    """One router and the experts, `served`, that it serves. `record` switches recording on; `absent` [experts] bool, or
    None, masks experts; while it records, `between`(ids, weights), if there is one, gives the weights that the experts
    receive in place of the router's. Recorded are `logits` [n, experts] and, as the router gave them, `ids` [n, k] and
    `weights` [n, k] (None where the experts are given none); with `record_channels` also `channels` [n, hidden], the
    magnitudes of their input."""

    def __init__(self, name, block, router, experts):
        self.name, self.module, self.experts, self.top_k = name, router, experts, None
        numbers = re.findall(r"\.(\d+)\.", name)
        self.layer = int(numbers[0]) if numbers else 0
        self.record, self.record_channels, self.absent, self.between = False, False, None, None
        self.forget()
        self.biases = _biases(block, router, experts)
        self.bias = next((tensor for key, tensor in self.biases.items() if key.endswith(BIASES)), None)
        self.original, self.served = router.forward, block.experts
        router.forward = self._route
        self.hook = block.experts.register_forward_pre_hook(self._receive, with_kwargs=True)

    def detach(self):
        """The router computes as if it had never been tapped."""
        self.module.forward = self.original
        self.hook.remove()

    def module_device(self):
        return next(self.module.parameters()).device

    def forget(self):
        self.logits, self.ids, self.weights, self.channels = None, None, None, None

    def _route(self, *arguments, **options):
        if not self.record and self.absent is None:
            return self.original(*arguments, **options)
        bias = None
        if self.absent is not None and self.bias is not None:  # a bias may not lift an absent expert over a resident
            bias = self.bias.data.clone()
            self.bias.data.masked_fill_(self.absent, float("-inf"))
        try:
            with _FirstLinear(self.experts, self.absent) as linear:
                output = self.original(*arguments, **options)
        finally:
            if bias is not None:
                self.bias.data.copy_(bias)
        if self.record:
            self._keep(linear.logits, arguments, options, output)
        return output

    def _keep(self, logits, arguments, options, output):
        self.forget()
        if logits is None:  # a fused kernel: the logits may still be among the outputs
            outputs = _tensors(output if isinstance(output, (tuple, list)) else [output], {})
            wide = [part for part in outputs if part.is_floating_point() and part.shape[-1:] == (self.experts,)]
            if not wide:
                raise Refusal(INPUT, f"{self.name}: no router logits seen (expected a linear map to {self.experts} "
                                     f"outputs in {type(self.module).__name__})")
            logits = wide[0].reshape(-1, self.experts)
        self.logits = logits.float()
        self.inputs = next(iter(_tensors(arguments, options)), None)

    def _receive(self, module, arguments, options):
        if not self.record:
            return
        if self.logits is None:
            raise Refusal(INPUT, f"{self.name}: its experts are called before the router (expected the router's choice "
                                 "to decide what they compute)")
        rows, tensors = len(self.logits), _tensors(arguments, options)
        ids = [t.reshape(rows, -1) for t in tensors if not t.is_floating_point() and t.dtype != torch.bool
               and t.dim() > 1 and t.numel() % rows == 0 and t.numel() <= rows * self.experts]
        copies = [t for t in tensors if t.is_floating_point() and t.dim() > 1 and t.numel() // t.shape[-1]
                  == rows * self.experts]
        if len(ids) == 1:
            self.ids = ids[0]
            alike = [t.reshape(rows, -1) for t in tensors if t.is_floating_point() and t.numel() == self.ids.numel()]
            self.weights = alike[0].float() if len(alike) == 1 else None
        elif not ids and len(copies) == 1:
            self._receive_copies(copies[0].reshape(self.experts, rows, -1).float())
        else:
            raise Refusal(INPUT, f"{self.name}: what {type(module).__name__} is asked to compute is not understood "
                                 "(expected one integer argument [tokens, k], or every token once for each expert)")
        if self.record_channels:
            self.channels = self._input_of(tensors, rows, bool(copies) and not ids).abs().float()
        self.top_k = self.top_k or self.ids.shape[1]
        if self.ids.shape[1] != self.top_k or not 0 <= int(self.ids.min()) <= int(self.ids.max()) < self.experts:
            raise Refusal(INPUT, f"{self.name}: its experts are asked for {self.ids.shape[1]} experts a token, "
                                 f"{int(self.ids.min())} to {int(self.ids.max())} (expected {self.top_k} of 0 to "
                                 f"{self.experts - 1})")
        if self.between is None:
            return None
        if self.weights is None or len(self.weights) != len(self.ids):
            raise Refusal(INPUT, f"{self.name}: its experts receive no gate weights that could be replaced")
        return self.with_weights(arguments, options, self.between(self.ids, self.weights))

    def with_weights(self, arguments, options, weights):
        """The arguments of the experts, with these gate weights [n, k] in the place of theirs."""
        def replace(value):
            alike = isinstance(value, torch.Tensor) and value.is_floating_point() and value.numel() == self.ids.numel()
            return weights.reshape(value.shape).to(value.dtype) if alike else value
        return tuple(map(replace, arguments)), {name: replace(value) for name, value in options.items()}

    def _input_of(self, tensors, rows, copied):
        """[n, hidden] what the experts are given; of copies that gates have scaled, what the router is given."""
        inputs = [self.inputs] if copied else [t for t in tensors if t.is_floating_point() and t.dim() > 1
                                               and t.numel() == rows * t.shape[-1] and t.shape[-1] != self.ids.shape[1]]
        if not inputs:
            raise Refusal(INPUT, f"{self.name}: the input of its experts is not understood (expected one tensor "
                                 "[tokens, hidden]); leave --channels out")
        return inputs[0].reshape(rows, -1)

    def _receive_copies(self, copies):
        """[experts, n, hidden]: each token scaled by its gate weight, and by 0 for experts that it did not choose."""
        chosen = (copies != 0).any(-1).T
        counts = chosen.sum(-1)
        if int(counts.min()) != int(counts.max()):
            raise Refusal(INPUT, f"{self.name}: tokens are given to {int(counts.min())} to {int(counts.max())} experts "
                                 "(expected the same number for all)")
        self.ids = chosen.nonzero()[:, 1].reshape(len(chosen), -1)
        tokens = self.inputs.reshape(1, len(chosen), -1).float()
        self.weights = ((copies * tokens).sum(-1) / (tokens * tokens).sum(-1)).T.gather(1, self.ids)


def _expert_count(name, experts):
    if isinstance(experts, torch.nn.ModuleList):
        return len(experts)
    stacked = sorted({p.shape[0] for p in experts.parameters() if p.dim() == 3})
    if len(stacked) > 1:
        raise Refusal(INPUT, f"{name}: weights of {stacked[0]} and of {stacked[-1]} experts (expected all to compute "
                             "something: a trace cannot hold zero-computation experts)")
    return stacked[0] if stacked else first_number(experts, EXPERT_KEYS)


def _biases(block, router, experts):
    """{name in the block: tensor of one number per expert} of all that could be a selection bias: not among experts,
    and not the bias of the linear map, which the logits contain."""
    linear = {id(module.bias) for module in router.modules() if isinstance(module, torch.nn.Linear)}
    return {name: tensor for name, tensor in [*block.named_parameters(), *block.named_buffers()]
            if tensor.numel() == experts and tensor.shape[-1:] == (experts,) and tensor.is_floating_point()
            and id(tensor) not in linear and not name.startswith(("experts.", "shared"))}


def _is_router(module, experts):
    """By shape: it owns a [experts, hidden] weight, itself or in a child."""
    return not isinstance(module, torch.nn.ModuleList) and any(
        p.dim() == 2 and p.shape[0] == experts for p in module.parameters())


def _sites(model):
    """(name, block, router, experts) of every block with a child `experts` and, beside it, a router."""
    found = []
    for name, block in model.named_modules():
        experts = getattr(block, "experts", None)
        count = _expert_count(name, experts) if isinstance(experts, torch.nn.Module) else None
        if not count:
            continue
        children = [(child, module) for child, module in block.named_children()
                    if child != "experts" and "shared" not in child and _is_router(module, count)]
        children.sort(key=lambda item: item[0] not in ("gate", "router"))
        if children:
            found.append((f"{name}.{children[0][0]}", block, children[0][1], count))
    return found


@torch.inference_mode()
def probe(model, taps):
    """Records a run over random tokens in `taps`."""
    size = model.get_input_embeddings().weight.shape[0]
    tokens = torch.randint(size, PROBE, generator=torch.Generator().manual_seed(0)).to(model.device)
    for tap in taps:
        tap.record = True
    try:
        model(input_ids=tokens, use_cache=False)
    finally:
        for tap in taps:
            tap.record = False
    silent = next((tap for tap in taps if tap.ids is None), None)
    if silent is not None:
        raise Refusal(INPUT, f"{silent.name}: its experts were not called (expected a module called experts that "
                             "computes what the router chose)")


def attach(model):
    """Taps on all routers of `model`, in layer order, with the recording of a probe. A model without any is refused."""
    taps = sorted((Tap(*site) for site in _sites(model)), key=lambda tap: tap.layer)
    if not taps:
        raise Refusal(INPUT, f"{type(model).__name__}: no MoE router found (expected a module with a [experts, hidden] "
                             "weight beside one called experts)")
    probe(model, taps)
    shapes = {(tap.experts, tap.top_k) for tap in taps}
    if len(shapes) > 1 or len({tap.layer for tap in taps}) < len(taps):
        raise Refusal(INPUT, f"{type(model).__name__}: layers differ in (experts, top-k) {sorted(shapes)}, or have "
                             "several routers, which a trace cannot hold")
    return taps


def shared_experts(model, taps):
    """How many shared experts a token always runs: as declared, else one where a block has any."""
    blocks = {tap.name.rsplit(".", 1)[0] for tap in taps}
    has = any(name.rsplit(".", 1)[0] in blocks and "shared" in name.rsplit(".", 1)[-1]
              and any(True for _ in module.parameters()) for name, module in model.named_modules() if "." in name)
    return first_number(text_config(model), SHARED_KEYS) or 1 if has else 0
