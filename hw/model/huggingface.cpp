#include "hw/model/huggingface.hpp"

#include <algorithm>
#include <map>

#include "host/support/nearest_name.hpp"
#include "hw/model/config_layers.hpp"
#include "hw/model/config_mixers.hpp"

namespace moecarlo::hw {
namespace {

using nlohmann::json;

constexpr const char* expert_keys[] = {"num_experts",     "num_local_experts",  "n_routed_experts",
                                       "moe_num_experts", "num_routed_experts", "moe_num_routed_experts"};
constexpr const char* top_k_keys[] = {
    "num_experts_per_tok", "num_experts_per_token", "experts_per_token", "moe_k", "moe_topk",
    "moe_top_k",           "top_k_experts"};
constexpr const char* shared_number_keys[] = {"n_shared_experts", "num_shared_experts", "moe_num_shared_experts",
                                              "num_shared_expert"};
constexpr const char* shared_width_keys[] = {"shared_expert_intermediate_size",
                                             "shared_experts_intermediate_size",
                                             "moe_shared_expert_intermediate_size",
                                             "shared_intermediate_size",
                                             "share_expert_dim",
                                             "share_expert_dims"};
constexpr const char* latent_keys[] = {"moe_latent_size", "moe_hidden_size"};

/// The text part of a config, and the keys of what stands around it.
struct TextPart {
  json config;
  std::string model_type;
  json around = json::object();
};

constexpr const char* part_keys[] = {"thinker_config", "text_config", "language_config", "llm_config"};

template <class... Args>
[[noreturn]] void refuse_key(const std::string& file, std::string_view key, fmt::format_string<Args...> format,
                             Args&&... args) {
  fail(ErrorKind::input, "{}: {}: {}", file, key, fmt::format(format, std::forward<Args>(args)...));
}

const char* find_part(const json& config, const std::string& file) {
  const char* found = nullptr;
  for (const char* part : part_keys) {
    if (!config.contains(part) || !config[part].is_object()) continue;
    if (found != nullptr) refuse_key(file, part, "contradicts {} (expected one text part)", found);
    found = part;
  }
  return found;
}

TextPart find_text_part(json config, const std::string& file) {
  TextPart text;
  while (true) {
    if (config.contains("model_type") && config["model_type"].is_string()) text.model_type = config["model_type"];
    const char* part = find_part(config, file);
    if (part == nullptr) break;
    json inner = std::move(config[part]);
    config.erase(part);
    text.around.update(config);
    for (const char* key : {"tie_word_embeddings", "quantization_config"})
      if (text.around.contains(key) && !inner.contains(key)) inner[key] = text.around[key];
    config = std::move(inner);
  }
  text.config = std::move(config);
  return text;
}

/// Keys around the text part are of pictures and sound, but none may say something else about the text than it does, or
/// be a misspelt one. Whether embeddings are tied is said of both, and differs in files that transformers writes: what
/// the text part says counts.
void refuse_around(const json& around, const ConfigReader& config) {
  const std::vector<std::string_view> parts(std::begin(part_keys), std::end(part_keys));
  for (const auto& [key, value] : around.items()) {
    const bool off = value.is_null() || value == false;
    if (key == "model_type" || key == "tie_word_embeddings" || says_nothing_about_sizes(key) != Silence::none) continue;
    if (config.was_read(key)) {
      if (!config.has(key) && !off) config.refuse(key, "stands outside the text part, where it says nothing");
      if (config.has(key) && !value.is_null() && config.at(key) != value)
        config.refuse(key, "contradicts that of the text part");
    } else if (const std::string_view nearest = nearest_name(key, parts); !nearest.empty()) {
      config.refuse(key, "unknown (is it {}?)", nearest);
    }
  }
}

/// DBRX keeps sizes in two tables.
void join_tables(json& config, const std::string& file) {
  for (const char* part : {"attn_config", "ffn_config"}) {
    if (!config.contains(part) || !config[part].is_object()) continue;
    const json inner = std::move(config[part]);
    config.erase(part);
    for (const auto& [key, value] : inner.items()) {
      if (key == "model_type" || value.is_null()) continue;
      const bool known = config.contains(key) && !config[key].is_null();
      if (known && config[key] != value) refuse_key(file, key, "contradicts that of {}", part);
      config[key] = value;
    }
  }
}

void write_format(PresetWriter& writer, const std::string& table, bool mxfp4) {
  const char* source = mxfp4 ? "OCP Microscaling Formats 1.0: MXFP4, one 8-bit scale per 32 weights"
                             : "INT8 in groups of 32 with an FP16 scale, as in ELMoE-3D, arXiv 2604.14626";
  const char* status = mxfp4 ? "published" : "assumed";
  writer.add(table + ".bits", mxfp4 ? 4 : 8, "bit", status, source);
  writer.add(table + ".group_size", 32, "count", status, source);
  writer.add(table + ".scale_bits", mxfp4 ? 8 : 16, "bit", status, source);
}

/// EAGLE's head is trained for each target; where none is known, it is taken to have the target's own attention (plain
/// heads of 128 where that is latent) and a feed-forward network of three times the width.
void write_draft_head(const ConfigReader& config, const Family& family, PresetWriter& writer) {
  const double hidden = hidden_size(config), heads = head_count(config);
  const bool latent = config.number_or("kv_lora_rank", 0) > 0;
  const double size = latent ? 0 : head_size(config, family);
  const auto assume = [&](const char* key, double value) {
    writer.add(key, value, "count", "assumed", "an EAGLE head shaped like the target");
  };
  assume("draft_head.query_width", latent ? hidden : heads * size);
  assume("draft_head.kv_width", latent ? hidden : key_value_heads(config) * size);
  assume("draft_head.ffn", 3 * hidden);
}

bool is_mxfp4(const ConfigReader& config) {
  constexpr std::string_view method = "quant_method";
  if (!config.has("quantization_config") || !config.at("quantization_config").is_object()) return false;
  const json& table = config.at("quantization_config");
  for (const auto& [key, value] : table.items())
    if (key != method && !nearest_name(key, {&method, 1}).empty())
      config.refuse("quantization_config", "{}: unknown (is it {}?)", json(key).dump(-1, ' ', true), method);
  return table.value(method, json()) == "mxfp4";
}

/// Width of all shared experts of a layer, or of another network beside the routed experts; 0 without.
double shared_width(const ConfigReader& config, const Family& family, double expert_width) {
  if (family.network_beside) return config.number(family.dense_width);
  if (family.one_shared) return expert_width;
  const auto number = config.find(shared_number_keys);
  if (const auto width = config.find(shared_width_keys)) return *width * number.value_or(1);
  return expert_width * number.value_or(0);
}

/// Experts of two matrices have no gate: Nemotron-H squares a ReLU.
bool is_gated(const ConfigReader& config) {
  return config.text_or("mlp_hidden_act", "silu") != "relu2";
}

void write_experts(const ConfigReader& config, const Family& family, PresetWriter& writer) {
  const char* width_key =
      &family == &plain_family() && !config.has(family.expert_width) ? "intermediate_size" : family.expert_width;
  const double width = config.number(width_key);
  writer.count("experts.count", config.number(expert_keys));
  writer.count("experts.top_k", config.number(top_k_keys));
  writer.count("experts.ffn", width);
  if (!is_gated(config)) writer.count("experts.matrices", 2);
  if (const double latent = config.number_or(latent_keys, 0); latent > 0) writer.count("experts.latent", latent);
  if (const double shared = shared_width(config, family, width); shared > 0) {
    writer.count("beside.width", shared);
    if (!is_gated(config)) writer.count("beside.matrices", 2);
  }
  write_format(writer, "experts", is_mxfp4(config));
}

/// The tables of all mixers that the layers have, and how many layers have which mixer and network.
class KindWriter {
 public:
  KindWriter(const ConfigReader& config, const Family& family, PresetWriter& writer)
      : config_(config), family_(family), writer_(writer) {}

  void add(const ConfigLayer& layer) {
    const char* network = !layer.network ? "none" : layer.experts ? "experts" : "ffn";
    ++counts_[mixer_of(layer) + "-" + network];
    dense_ = dense_ || (layer.network && !layer.experts);
  }

  void finish() {
    for (const auto& [name, count] : counts_) writer_.count("kinds." + name, count);
    if (!dense_) return;
    writer_.count("ffn.width", config_.number(dense_key()));
    if (!is_gated(config_)) writer_.count("ffn.matrices", 2);
  }

 private:
  const char* dense_key() const { return config_.has(family_.dense_width) ? family_.dense_width : "intermediate_size"; }

  std::string mixer_of(const ConfigLayer& layer) {
    if (layer.mixer == MixerKind::none) return "none";
    const bool attention = layer.mixer == MixerKind::attention;
    for (const char* key : expert_keys)
      if (layer.changed.contains(key)) config_.refuse(key, "experts that differ between layers are not modelled");
    const std::string kind = attention ? "attention" : recurrence_table(family_.recurrence);
    std::string& name = names_[{kind, layer.changed.dump()}];
    if (!name.empty()) return name;
    const int before = numbers_[kind]++;
    name = before == 0 ? kind : fmt::format("{}_{}", kind, before + 1);
    const ConfigReader own = config_.with(layer.changed);
    if (attention) {
      write_attention(own, family_, name, writer_);
    } else {
      write_recurrence(own, family_, name, writer_);
    }
    return name;
  }

  const ConfigReader& config_;
  const Family& family_;
  PresetWriter& writer_;
  std::map<std::pair<std::string, std::string>, std::string> names_;
  std::map<std::string, int> numbers_;
  std::map<std::string, int> counts_;
  bool dense_ = false;
};

/// What some families have that no layer here has.
void refuse_what_is_not_modelled(const ConfigReader& config) {
  if (config.flag_or("is_encoder_decoder", false)) config.refuse("is_encoder_decoder", "encoders are not modelled");
  if (config.flag_or("add_cross_attention", false))
    config.refuse("add_cross_attention", "attention to an encoder is not modelled");
  for (const char* key : {"use_moe", "enable_moe_block"})
    if (!config.flag_or(key, true)) config.refuse(key, "expected true (the config.json of an MoE model), found false");
  if (config.flag_or("use_cla", false)) config.refuse("use_cla", "layers that share keys and values are not modelled");
  for (const char* key : {"hidden_size_per_layer_input", "num_kv_shared_layers", "zero_expert_num"})
    if (config.number_or(key, 0) > 0) config.refuse(key, "not modelled (expected 0, found {})", config.number(key));
}

const Family& family_of(const ConfigReader& config, const std::string& model_type) {
  config.note_read("model_type");
  if (model_type.empty()) return plain_family();
  if (const Family* family = find_family(model_type)) return *family;
  config.refuse("model_type", "the family {} is not modelled; a preset (TOML) can describe it",
                json(model_type).dump(-1, ' ', true, json::error_handler_t::replace));
}

std::string name_of(const std::filesystem::path& file) {
  if (file.filename() != "config.json") return file.stem().string();
  return std::filesystem::absolute(file).parent_path().filename().string();
}

}  // namespace

Preset read_huggingface_config(const std::filesystem::path& file) {
  TextPart text = find_text_part(read_config_json(file), file.string());
  join_tables(text.config, file.string());
  const ConfigReader config(file.string(), std::move(text.config));
  const Family& family = family_of(config, text.model_type);
  refuse_what_is_not_modelled(config);
  Preset preset{name_of(file), file.string(), {}};
  PresetWriter writer(preset);
  writer.count("layers.hidden", hidden_size(config));
  writer.count("layers.vocabulary", config.number("vocab_size"));
  if (const double streams = config.number_or("hc_mult", 1); streams > 1) {
    writer.count("streams.count", streams);
    writer.count("streams.factors", config.has("hc_sinkhorn_iters") ? streams * (streams + 2) : 2 * streams);
  }
  const bool tied = config.flag_or("tie_word_embeddings", config.flag_or("tie_embedding", family.tied_embeddings));
  if (tied) writer.count("layers.tied_embeddings", 1);
  if (!family.dense) write_experts(config, family, writer);
  KindWriter kinds(config, family, writer);
  for (const ConfigLayer& layer : read_config_layers(config, family)) kinds.add(layer);
  kinds.finish();
  writer.add("attention.kv_bits", 16, "bit", "assumed", "FP16");
  write_format(writer, "dense", false);
  write_draft_head(config, family, writer);
  for (const char* key : {"intermediate_size", family.dense_width}) config.note_read(key);  // where no layer is dense
  config.refuse_unread();
  refuse_around(text.around, config);
  return preset;
}

}  // namespace moecarlo::hw
