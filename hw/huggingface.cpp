#include "hw/huggingface.hpp"

#include <cmath>
#include <fstream>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "host/support/error.hpp"

namespace moecarlo::hw {
namespace {

using nlohmann::json;

/// Collects the rows of a model preset from the keys of a config.json, whose names differ between families.
class ConfigReader {
 public:
  ConfigReader(std::string file, json config) : file_(std::move(file)), config_(std::move(config)) {}

  bool has(const char* key) const { return config_.contains(key) && !config_[key].is_null(); }

  /// The first of `keys` that is there, as a whole number from 0; refuses the file when none is.
  double number(std::initializer_list<const char*> keys) const {
    for (const char* key : keys) {
      if (!has(key)) continue;
      const json& value = config_[key];
      if (!value.is_number_integer() || value.get<double>() < 0)
        fail(ErrorKind::input, "{}: {}: expected a whole number from 0, found {}", file_, key, value.dump());
      return value.get<double>();
    }
    fail(ErrorKind::input, "{}: no key {} (expected the config.json of an MoE model)", file_, fmt::join(keys, " or "));
  }

  double number_or(const char* key, double otherwise) const { return has(key) ? number({key}) : otherwise; }

  const json& at(const char* key) const { return config_[key]; }
  const std::string& file() const { return file_; }

 private:
  std::string file_;
  json config_;
};

void add(Preset& preset, const char* key, double value) {
  preset.constants.push_back({key, value, "count", "published", "config.json of the model", 0});
}

void add_format(Preset& preset, const std::string& table, bool mxfp4) {
  const char* source = mxfp4 ? "OCP Microscaling Formats 1.0: MXFP4, one 8-bit scale per 32 weights"
                             : "INT8 in groups of 32 with an FP16 scale, as in ELMoE-3D, arXiv 2604.14626";
  const char* status = mxfp4 ? "published" : "assumed";
  preset.constants.push_back({table + ".bits", mxfp4 ? 4.0 : 8.0, "bit", status, source, 0});
  preset.constants.push_back({table + ".group_size", 32, "count", status, source, 0});
  preset.constants.push_back({table + ".scale_bits", mxfp4 ? 8.0 : 16.0, "bit", status, source, 0});
}

/// Layers without experts: a prefix (DeepSeek) or a list (Qwen). Experts in only every n-th layer are refused: no model
/// preset can say it.
double dense_layers(const ConfigReader& config) {
  for (const char* key : {"moe_layer_freq", "decoder_sparse_step"})
    if (config.number_or(key, 1) != 1)
      fail(ErrorKind::input, "{}: {}: expected 1 (experts in every layer), found {}", config.file(), key,
           config.at(key).dump());
  if (config.has("mlp_only_layers") && config.at("mlp_only_layers").is_array() && !config.at("mlp_only_layers").empty())
    return static_cast<double>(config.at("mlp_only_layers").size());
  return config.number_or("first_k_dense_replace", 0);
}

void add_experts(Preset& preset, const ConfigReader& config) {
  const double inner = config.number({"moe_intermediate_size", "intermediate_size"});
  add(preset, "experts.count", config.number({"num_local_experts", "num_experts", "n_routed_experts"}));
  add(preset, "experts.top_k", config.number({"num_experts_per_tok", "experts_per_token"}));
  add(preset, "experts.ffn", inner);
  // Qwen2-MoE gives the width of its shared expert, DeepSeek a number of experts of the routed width.
  const double shared = config.has("shared_expert_intermediate_size")
                            ? config.number({"shared_expert_intermediate_size"}) / inner
                            : config.number_or("n_shared_experts", 0);
  if (shared > 0) add(preset, "experts.shared", shared);
  const bool mxfp4 = config.has("quantization_config") && config.at("quantization_config").is_object() &&
                     config.at("quantization_config").value("quant_method", json()) == "mxfp4";
  add_format(preset, "experts", mxfp4);
}

void add_attention(Preset& preset, const ConfigReader& config) {
  const double heads = config.number({"num_attention_heads"});
  add(preset, "attention.query_heads", heads);
  if (config.has("kv_lora_rank")) {
    add(preset, "attention.kv_rank", config.number({"kv_lora_rank"}));
    add(preset, "attention.rope_size", config.number({"qk_rope_head_dim"}));
    add(preset, "attention.nope_size", config.number({"qk_nope_head_dim"}));
    add(preset, "attention.value_size", config.number({"v_head_dim"}));
    if (config.has("q_lora_rank")) add(preset, "attention.query_rank", config.number({"q_lora_rank"}));
  } else {
    add(preset, "attention.kv_heads", config.number_or("num_key_value_heads", heads));
    add(preset, "attention.head_size",
        config.has("head_dim") ? config.number({"head_dim"}) : config.number({"hidden_size"}) / heads);
  }
  preset.constants.push_back({"attention.kv_bits", 16, "bit", "assumed", "FP16", 0});
}

/// EAGLE's head is trained for each target; where none is known, it is taken to have the target's own attention (plain
/// heads of 128 where that is latent) and a feed-forward network of three times the width.
void add_draft_head(Preset& preset, const ConfigReader& config) {
  const double hidden = config.number({"hidden_size"});
  const double heads = config.number({"num_attention_heads"});
  const bool latent = config.has("kv_lora_rank");
  const double size = config.has("head_dim") ? config.number({"head_dim"}) : hidden / heads;
  const auto assume = [&](const char* key, double value) {
    preset.constants.push_back({key, value, "count", "assumed", "an EAGLE head shaped like the target", 0});
  };
  assume("draft_head.query_width", latent ? hidden : heads * size);
  assume("draft_head.kv_width", latent ? hidden : config.number_or("num_key_value_heads", heads) * size);
  assume("draft_head.ffn", 3 * hidden);
}

json parse(const std::filesystem::path& file) {
  std::ifstream stream(file);
  if (!stream) fail(ErrorKind::input, "{}: cannot be read", file.string());
  json config = json::parse(stream, nullptr, false);
  if (!config.is_object()) fail(ErrorKind::input, "{}: not a JSON object (expected a config.json)", file.string());
  if (config.contains("text_config") && config["text_config"].is_object()) return config["text_config"];
  return config;
}

}  // namespace

Preset read_huggingface_config(const std::filesystem::path& file) {
  const ConfigReader config(file.string(), parse(file));
  const auto folder = std::filesystem::absolute(file).parent_path().filename().string();
  const bool named_config = file.filename() == "config.json";
  Preset preset{named_config ? folder : file.stem().string(), file.string(), {}};
  add(preset, "layers.total", config.number({"num_hidden_layers"}));
  add(preset, "layers.hidden", config.number({"hidden_size"}));
  add(preset, "layers.vocabulary", config.number({"vocab_size"}));
  if (const double dense = dense_layers(config); dense > 0) {
    add(preset, "layers.dense", dense);
    add(preset, "layers.dense_ffn", config.number({"intermediate_size"}));
  }
  add_experts(preset, config);
  add_attention(preset, config);
  add_format(preset, "dense", false);
  add_draft_head(preset, config);
  return preset;
}

}  // namespace moecarlo::hw
