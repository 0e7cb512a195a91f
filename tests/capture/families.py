"""Tiny randomly initialised models of every family that capture_router.py knows, and two that it does not."""

import torch
import transformers as hf

SHAPE = dict(
    vocab_size=61,
    hidden_size=32,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=128,
    initializer_range=0.2,
    pad_token_id=None,
    bos_token_id=None,
    eos_token_id=None,
)
LATENT = dict(kv_lora_rank=8, q_lora_rank=8, qk_rope_head_dim=4, qk_nope_head_dim=4, v_head_dim=8, head_dim=4,
              n_shared_experts=1, first_k_dense_replace=1, routed_scaling_factor=1.5)


def _shape(**more):
    return {**SHAPE, **more}


CONFIGURATIONS = {
    "mixtral": lambda: hf.MixtralConfig(**_shape(intermediate_size=16, num_local_experts=8, num_experts_per_tok=2,
                                                 head_dim=8, sliding_window=None)),
    "olmoe": lambda: hf.OlmoeConfig(**_shape(intermediate_size=16, num_experts=8, num_experts_per_tok=3)),
    "qwen2_moe": lambda: hf.Qwen2MoeConfig(**_shape(
        intermediate_size=32, moe_intermediate_size=16, shared_expert_intermediate_size=16, num_experts=8,
        num_experts_per_tok=2, norm_topk_prob=False)),
    "qwen3_moe": lambda: hf.Qwen3MoeConfig(**_shape(
        intermediate_size=32, moe_intermediate_size=16, num_experts=8, num_experts_per_tok=2, head_dim=8,
        norm_topk_prob=True)),
    "deepseek_v2": lambda: hf.DeepseekV2Config(**_shape(
        **LATENT, num_key_value_heads=4, intermediate_size=32, moe_intermediate_size=16, n_routed_experts=8,
        num_experts_per_tok=2, topk_method="group_limited_greedy", n_group=4, topk_group=2)),
    "deepseek_v3": lambda: hf.DeepseekV3Config(**_shape(
        **LATENT, num_key_value_heads=4, intermediate_size=32, moe_intermediate_size=16, n_routed_experts=8,
        num_experts_per_tok=2, n_group=2, topk_group=1, norm_topk_prob=True)),
    "glm4_moe": lambda: hf.Glm4MoeConfig(**_shape(
        intermediate_size=32, moe_intermediate_size=16, n_routed_experts=8, n_shared_experts=1, num_experts_per_tok=2,
        n_group=1, topk_group=1, head_dim=8, first_k_dense_replace=1, norm_topk_prob=True)),
    "gpt_oss": lambda: hf.GptOssConfig(**_shape(
        intermediate_size=16, num_local_experts=8, num_experts_per_tok=2, head_dim=8, sliding_window=6,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"])),
    "phimoe": lambda: hf.PhimoeConfig(**_shape(intermediate_size=16, num_local_experts=8, num_experts_per_tok=2)),
    "ernie4_5_moe": lambda: hf.Ernie4_5_MoeConfig(**_shape(
        intermediate_size=32, moe_intermediate_size=16, moe_num_experts=8, moe_k=2, moe_num_shared_experts=1,
        moe_layer_start_index=1)),
}
KNOWN = [name for name in CONFIGURATIONS if name not in ("phimoe", "ernie4_5_moe")]


def model(family, seed=0):
    """A model of the family whose routing is far from uniform, in float32."""
    torch.manual_seed(seed)
    made = hf.AutoModelForCausalLM.from_config(CONFIGURATIONS[family](), experts_implementation="eager").eval()
    for name, parameter in made.named_parameters():
        if name.endswith(("gate.weight", "router.weight")):
            torch.nn.init.normal_(parameter, std=1.0)
    for name, buffer in made.named_buffers():
        if name.endswith("e_score_correction_bias"):
            buffer.copy_(0.3 * torch.randn_like(buffer))
    return made


class OwnChoices:
    """What the experts of a model were really asked to compute: the integer argument of each `experts` module, in order
    of the calls. Independent of the routers' own outputs."""

    def __init__(self, model):
        self.calls = {}
        for name, module in model.named_modules():
            if name.endswith(".experts"):
                module.register_forward_pre_hook(self._keep(name), with_kwargs=True)

    def _keep(self, name):
        def hook(_, arguments, options):
            ids = next(
                a for a in [*arguments, *options.values()] if isinstance(a, torch.Tensor) and not a.is_floating_point()
            )
            self.calls.setdefault(name, []).append(ids.clone())
        return hook
