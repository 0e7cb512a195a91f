#include <array>

#include "hw/model/config_reader.hpp"

namespace moecarlo::hw {
namespace {

/// Of the file itself, of training, of tokens and of how a program runs the model.
constexpr std::array file_and_training{"_*",
                                       "architectures",
                                       "auto_map",
                                       "dtype",
                                       "torch_dtype",
                                       "transformers_version",
                                       "*dropout*",
                                       "*_pdrop",
                                       "*_loss*",
                                       "loss_*",
                                       "*aux_*",
                                       "seq_aux",
                                       "initializer*",
                                       "init_std",
                                       "*_init",
                                       "*token_id",
                                       "*token_ids",
                                       "*_token_index",
                                       "*_id",
                                       "id2label",
                                       "label2id",
                                       "problem_type",
                                       "num_labels",
                                       "output_*",
                                       "return_dict*",
                                       "use_cache",
                                       "name_or_path",
                                       "bos*",
                                       "eos*",
                                       "pad_*",
                                       "ep_size",
                                       "pretraining_tp",
                                       "gradient_*",
                                       "*recompute*",
                                       "*parallel_degree",
                                       "use_flash*",
                                       "use_grouped_mm",
                                       "use_mamba_kernels",
                                       "use_mambapy",
                                       "use_associative_scan",
                                       "use_kernels",
                                       "chunk_size_feed_forward",
                                       "is_decoder",
                                       "is_causal",
                                       "tokenizer_class",
                                       "license",
                                       "unsloth_*",
                                       "cache_implementation",
                                       "for_llm_compressor",
                                       "num_logits_to_keep",
                                       "calc_logits_for_entire_prompt",
                                       "max_position_embeddings",
                                       "original_max_position_embeddings",
                                       "initial_context_length",
                                       "init_method",
                                       "vocab_size_per_layer_input",
                                       "mlp_intermediate_size",
                                       "compression_ratio",
                                       "max_seq_len",
                                       "max_model_len",
                                       "model_max_length",
                                       "seq_length",
                                       "max_sequence_length",
                                       "tie_last_hidden_states",
                                       "mamba_ssm_cache_dtype",
                                       "*_cache_dtype",
                                       "quantization",
                                       "compression_config"};

/// Of what is computed with the same weights: activations, scales, positions, norms and biases, which are left out.
constexpr std::array arithmetic{"hidden_act*",
                                "*activation*",
                                "mamba_hidden_act",
                                "hidden_dropout*",
                                "*_eps",
                                "*epsilon",
                                "rope_*",
                                "*_rope_*",
                                "*rotary*",
                                "mrope*",
                                "position_embedding_type",
                                "mamba_inner_layernorms",
                                "normalization_function",
                                "att_impl_type",
                                "mla_use_nope",
                                "zero_centered",
                                "yarn_only_types",
                                "use_rope_layers",
                                "partial_*",
                                "use_pos_enc",
                                "*softcap*",
                                "*softcapping",
                                "swiglu_*",
                                "*_multiplier",
                                "*_multiplier_*",
                                "logits_scaling",
                                "logit_scale",
                                "attn_scale",
                                "attn_temperature_tuning",
                                "floor_scale",
                                "query_pre_attn_scalar",
                                "qk_scale_factor",
                                "attention_value_scale",
                                "*_alpha_factor",
                                "*_beta_factor",
                                "*_alpha",
                                "*_beta",
                                "scale_*",
                                "mup_*",
                                "layernorm_*",
                                "*_norm",
                                "*_qk_norm*",
                                "qk_norm*",
                                "norm_*",
                                "use_qk_norm",
                                "*_bias",
                                "bias",
                                "*_expert_bias",
                                "residual_in_fp32",
                                "rescale_prenorm_residual",
                                "residual_*",
                                "clip_qkv",
                                "time_step_*",
                                "chunk_size",
                                "mamba_chunk_size",
                                "block_size",
                                "kda_lower_bound",
                                "kda_safe_gate",
                                "hc_*",
                                "gated_norm_rank",
                                "linear_lower_bound",
                                "learnable_sink_init",
                                "linear_silu",
                                "group_norm_size",
                                "*lower_bound",
                                "no_rope_layer_interval",
                                "max_window_layers",
                                "use_bidirectional_attention",
                                "head_dtype",
                                "use_head_norm",
                                "use_rmsnorm",
                                "rms_norm*",
                                "postnorm"};

/// Of how experts are scored and tokens sent to them.
constexpr std::array routing{"n_group",
                             "num_expert_group*",
                             "num_limited_groups",
                             "topk_group",
                             "topk_method",
                             "top_k_group",
                             "group_limited*",
                             "norm_topk_prob",
                             "route_norm",
                             "moe_renormalize",
                             "score*",
                             "scoring*",
                             "expert_selection_fn",
                             "*routed_scaling_factor",
                             "*router_scaling_factor",
                             "route_scale",
                             "*router_*",
                             "*jitter*",
                             "*capacity*",
                             "moe_norm_min",
                             "moe_gate_act",
                             "moe_loss_weight",
                             "moe_normalize_expert_weights",
                             "moe_drop_tokens",
                             "moe_random_routing_dropped_token",
                             "moe_use_aux_free",
                             "moe_shared_expert_overlap",
                             "enable_moe_fp32_combine",
                             "moe_apply_router_weight_on_input",
                             "moe_layer_recompute",
                             "use_routing_bias",
                             "load_balance_coeff",
                             "shared_expert_combination_strategy",
                             "shared_moe_mode",
                             "use_mixed_mlp_moe",
                             "moe_gate",
                             "use_grouped_topk",
                             "zero_expert_type",
                             "need_fp32_gate"};

/// Of layers that predict further tokens: they are no part of the model.
constexpr std::array further_tokens{"num_nextn_predict_layers", "num_mtp_*", "mtp_*", "use_mtp", "*_mtp_*"};

/// What the parts around a text model are told by: pictures and sound.
constexpr std::array other_senses{"*vision*", "*image*", "*video*", "*audio*", "*visual*", "vit_*", "im_*", "anyres*"};

/// `*` at either end stands for anything.
bool matches(std::string_view pattern, std::string_view key) {
  const bool open_before = pattern.front() == '*', open_after = pattern.back() == '*';
  const std::string_view middle =
      pattern.substr(open_before ? 1 : 0, pattern.size() - (open_before ? 1 : 0) - (open_after ? 1 : 0));
  if (open_before && open_after) return key.find(middle) != std::string_view::npos;
  if (open_after) return key.substr(0, middle.size()) == middle;
  if (open_before) return key.size() >= middle.size() && key.substr(key.size() - middle.size()) == middle;
  return key == pattern;
}

}  // namespace

Silence says_nothing_about_sizes(std::string_view key) {
  Silence found = Silence::none;
  const auto look_in = [&](const auto& patterns) {
    for (const char* pattern : patterns) {
      if (pattern == key) found = Silence::by_name;
      if (found == Silence::none && matches(pattern, key)) found = Silence::by_its_kind;
    }
  };
  look_in(file_and_training);
  look_in(arithmetic);
  look_in(routing);
  look_in(further_tokens);
  look_in(other_senses);
  return found;
}

}  // namespace moecarlo::hw
