#include "hw/model/families.hpp"

#include <array>

namespace moecarlo::hw {
namespace {

constexpr const char* kSameWidth = "intermediate_size";  // families whose experts have the only width there is

/// Sources: the modelling code of each family in transformers 5.24, or in the repository of the model where it has its
/// own. Families that differ in nothing share a line.
constexpr std::array families{
    Family{.names = "llama mistral qwen3", .dense = true},
    Family{.names = "qwen2_moe qwen3_moe qwen3_vl_moe qwen3_omni_moe qwen3_omni_moe_thinker flint kolibri1 mellum"},
    Family{.names = "deepseek deepseek_v2 deepseek_v3 deepseek_v32 kimi_k2 kimi_vl axk1 glm4_moe_lite glm_moe_dsa "
                    "mistral4 mistral_large4 sarvam_mla unlimited_ocr deepseek_ocr deepseek_ocr2 deepseek_vl_v2"},
    Family{.names = "glm4_moe glm4v_moe sarvam_moe solar_open hy_v3 bailing_moe bailing_moe_v2 dots1 exaone_moe"},
    Family{.names = "ernie4_5_moe", .tied_embeddings = true},
    Family{.names = "mixtral phimoe phi3_5moe olmoe flex_olmo minimax_m2 granitemoe granitemoeshared granitemoe_swa",
           .expert_width = kSameWidth},
    Family{.names = "aria", .expert_width = kSameWidth},
    Family{.names = "gpt_oss openai_privacy_filter", .expert_width = kSameWidth, .head_size = 64, .full_every = 2},
    Family{.names = "hunyuan_v1_moe hunyuan", .expert_width = "moe_intermediate_size"},
    Family{.names = "dbrx", .expert_width = "ffn_hidden_size"},
    Family{.names = "llama4",
           .expert_width = kSameWidth,
           .dense_width = "intermediate_size_mlp",
           .head_size = 128,
           .one_shared = true},
    Family{.names = "cohere2_moe",
           .expert_width = kSameWidth,
           .dense_width = "prefix_dense_intermediate_size",
           .tied_embeddings = true,
           .head_size = 128,
           .full_every = 4},
    Family{.names = "minimax_m3_vl", .expert_width = kSameWidth, .dense_width = "dense_intermediate_size"},
    Family{.names = "gemma4", .tied_embeddings = true, .full_every = 6, .network_beside = true},
    Family{.names = "mimo_v2_flash", .head_size = 192},
    Family{.names = "afmoe", .head_size = 128, .gate = Gate::channels, .full_every = 4},
    Family{.names = "beam muse_spark hy_v4 hy_v4_vl", .gate = Gate::channels},
    Family{.names = "laguna step3p5 step3p7 dots3_note", .gate = Gate::heads},
    Family{.names = "step3"},
    Family{.names = "axk2", .gate = Gate::channels, .gate_from_query = true},
    Family{.names = "qwen3_next qwen3_5_moe",
           .head_size = 256,
           .gate = Gate::channels,
           .recurrence = Recurrence::delta,
           .full_every = 4},
    Family{.names = "lara_mini", .tied_embeddings = true, .recurrence = Recurrence::delta},
    Family{.names = "kimi_linear", .recurrence = Recurrence::channel_delta},
    Family{.names = "bailing_hybrid", .gate = Gate::heads, .recurrence = Recurrence::channel_delta, .full_every = 6},
    Family{.names = "bailing_moe_linear bailing_moe_v2_linear", .recurrence = Recurrence::lightning},
    Family{
        .names = "minimax minimax_text_01 minimax_m1", .expert_width = kSameWidth, .recurrence = Recurrence::lightning},
    Family{.names = "jamba", .expert_width = kSameWidth, .recurrence = Recurrence::mamba},
    Family{.names = "granitemoehybrid", .expert_width = kSameWidth, .recurrence = Recurrence::mamba2},
    Family{.names = "nemotron_h", .head_size = 128, .recurrence = Recurrence::mamba2},
    Family{.names = "lfm2_moe", .tied_embeddings = true, .recurrence = Recurrence::convolution},
};

bool has_name(std::string_view names, std::string_view wanted) {
  while (!names.empty()) {
    const std::size_t end = names.find(' ');
    if (names.substr(0, end) == wanted) return true;
    names.remove_prefix(end == std::string_view::npos ? names.size() : end + 1);
  }
  return false;
}

}  // namespace

const Family* find_family(std::string_view model_type) {
  constexpr std::string_view suffix = "_text";
  if (model_type.size() > suffix.size() && model_type.substr(model_type.size() - suffix.size()) == suffix)
    model_type.remove_suffix(suffix.size());
  for (const Family& family : families) {
    if (has_name(family.names, model_type)) return &family;
  }
  return nullptr;
}

const Family& plain_family() {
  static constexpr Family plain{.names = ""};
  return plain;
}

}  // namespace moecarlo::hw
