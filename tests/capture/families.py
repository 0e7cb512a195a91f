"""Tiny randomly initialised models of every MoE family that the installed transformers has, and what their experts were
really asked to compute."""

import functools
import inspect

import torch
import transformers as hf
from torch.overrides import TorchFunctionMode
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

# Every size that a configuration may ask for, under all the names that families have for it.
SMALL = dict(
    vocab_size=61, hidden_size=32, num_hidden_layers=3, max_position_embeddings=128, initializer_range=0.2,
    pad_token_id=None, bos_token_id=None, eos_token_id=None, sliding_window=6, hidden_act="silu",
    intermediate_size=32, moe_intermediate_size=16, shared_expert_intermediate_size=16, shared_intermediate_size=16,
    moe_shared_expert_intermediate_size=16, intermediate_size_mlp=32, moe_latent_size=None,
    num_attention_heads=4, num_key_value_heads=2, head_dim=8, kv_lora_rank=8, q_lora_rank=8, qk_rope_head_dim=4,
    qk_nope_head_dim=4, v_head_dim=8, num_local_experts=8, num_experts=8, n_routed_experts=8, moe_num_experts=8,
    num_experts_per_tok=2, num_experts_per_token=2, moe_k=2, moe_topk=2, top_k_experts=2, n_group=4, topk_group=2,
    num_expert_group=4, n_shared_experts=1, num_shared_experts=1, moe_num_shared_experts=1, first_k_dense_replace=1,
    num_dense_layers=1, moe_layer_start_index=1, routed_scaling_factor=1.5, router_jitter_noise=0.0,
    attention_dropout=0.0, linear_num_key_heads=2, linear_num_value_heads=2, linear_key_head_dim=8,
    linear_value_head_dim=8, mamba_n_heads=4, mamba_d_head=16, mamba_d_state=8, mamba_expand=2, mamba_n_groups=1,
    mamba_num_heads=4, mamba_head_dim=16, vocab_size_per_layer_input=61,
    unpadded_vocab_size=61, n_groups=1, linear_head_dim=8, linear_num_heads=4, use_mamba_kernels=False,
)
LATENT = dict(num_key_value_heads=4, head_dim=4)  # of the rotary part
PERIOD = dict(num_hidden_layers=4)  # of which the last one attends
SPECIAL = {
    "mixtral": dict(sliding_window=None), "deepseek_v2": dict(LATENT, topk_method="group_limited_greedy"),
    "deepseek_v3": LATENT, "gpt_oss": dict(layer_types=["sliding_attention", "full_attention", "sliding_attention"]),
    "glm4_moe": dict(n_group=1, topk_group=1), "qwen3_moe": dict(norm_topk_prob=True),
    "axk1": LATENT, "axk2": LATENT, "deepseek_v32": LATENT, "glm4_moe_lite": LATENT, "glm_moe_dsa": LATENT,
    "longcat_flash": LATENT, "dots3_note": LATENT, "dots3_note_text": LATENT, "gemma4_text": dict(enable_moe_block=True),
    "qwen3_next": PERIOD, "qwen3_5_moe_text": PERIOD, "qwen3_5_moe": PERIOD, "qwen4_exp": PERIOD,
    "kimi_linear": dict(layer_types=["linear_attention", "full_attention", "linear_attention"]),
    "bailing_hybrid": dict(layer_group_size=3),
    "jamba": dict(attn_layer_period=2, attn_layer_offset=1, expert_layer_period=1, expert_layer_offset=0),
    "granitemoehybrid": dict(layer_types=["mamba", "attention", "mamba"]),
    "lfm2_moe": dict(layer_types=["conv", "full_attention", "conv"]), "zaya": dict(num_experts_per_tok=1),
}


def configuration(family):
    kind = hf.CONFIG_MAPPING[family]
    text = kind().get_text_config()
    known = set(text.to_dict()) | set(inspect.signature(type(text).__init__).parameters) | set(text.attribute_map)
    sizes = {**SMALL, **SPECIAL.get(family, {})}
    return type(text)(**{key: value for key, value in sizes.items() if key in known})


def has_experts(family):
    """Whether the family makes a small model with experts, seen without allocating it."""
    try:
        config = configuration(family)
        if not any("expert" in key for key in config.to_dict()):
            return False
        with torch.device("meta"):
            made = hf.AutoModelForCausalLM.from_config(config)
    except Exception:  # whatever configurations of these sizes may run into
        return False
    return (any(name.endswith("experts") for name, _ in made.named_modules())
            and sum(parameter.numel() for parameter in made.parameters()) < 5e7)


@functools.cache
def moe_families():
    """Families of causal language models with a block that has experts."""
    return [family for family in sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
            if family in hf.CONFIG_MAPPING and has_experts(family)]


def model(family, seed=0):
    """A model of the family whose routing is far from uniform, in float32; biases for selection are not zero."""
    torch.manual_seed(seed)
    made = hf.AutoModelForCausalLM.from_config(configuration(family), experts_implementation="eager").eval()
    for name, parameter in made.named_parameters():
        if name.endswith(("gate.weight", "router.weight", "router.proj.weight")):
            torch.nn.init.normal_(parameter, std=1.0)
    for name, tensor in [*made.named_parameters(), *made.named_buffers()]:
        if name.endswith(("correction_bias", "expert_bias", "router.bias", "gate.bias", "balancing_biases")):
            tensor.data.copy_(0.3 * torch.randn_like(tensor))
    return made


class OwnChoices(TorchFunctionMode):
    """What the experts of a model really computed: which rows went through the weights of which expert. It knows nothing
    of routers, ids and rules; within it, every linear map with a slice of stacked expert weights is seen, and each of its
    rows is found again among the hidden states that the experts were given."""

    def __init__(self, model):
        super().__init__()
        self.slices, self.layers, self.open, self.chosen = {}, [], None, {}
        for name, module in model.named_modules():
            stacks = [p for p in module.parameters(recurse=False) if p.dim() == 3]
            if not stacks or not name.endswith("experts"):
                continue
            self.layers.append(name)
            self.chosen[name] = []
            for stack in stacks:
                for expert, part in enumerate(stack):
                    self.slices[part.data_ptr()] = (name, expert, stack.shape)
            module.register_forward_pre_hook(self._enter(name))

    def _enter(self, name):
        def hook(_, arguments):
            self.hidden = arguments[0].shape[-1]
            tokens = arguments[0].detach().reshape(-1, self.hidden)
            self.open = {}
            for i, row in enumerate(tokens):
                self.open.setdefault(row.numpy().tobytes(), []).append(i)
            self.chosen[name].append([set() for _ in tokens])
        return hook

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", "")
        weights = [a for a in args[1:2] if isinstance(a, torch.Tensor) and a.data_ptr() in self.slices]
        if weights and name in ("linear", "matmul", "__matmul__", "bmm"):
            layer, expert, shape = self.slices[weights[0].data_ptr()]
            if weights[0].shape == shape:
                self._all_at_once(layer, args[0].detach())
            else:
                for row in args[0].detach().reshape(-1, args[0].shape[-1]):
                    for token in self.open.get(row.numpy().tobytes(), []):  # rows of the second map are not among them
                        self.chosen[layer][-1][token].add(expert)
        return function(*args, **(kwargs or {}))

    def _all_at_once(self, layer, inputs):
        """[experts, tokens, hidden]: zeros in, zeros out."""
        if inputs.shape[2] == self.hidden:
            used = (inputs != 0).any(-1).T
            self.chosen[layer][-1] = [set(row.nonzero()[:, 0].tolist()) for row in used]

    def result(self):
        """[tokens][layers] sets of experts."""
        layers = [[row for call in self.chosen[name] for row in call] for name in self.layers if self.chosen[name]]
        return list(zip(*layers))
