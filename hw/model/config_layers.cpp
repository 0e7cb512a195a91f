#include "hw/model/config_layers.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "hw/model/config_experts.hpp"
#include "hw/model/config_mixers.hpp"

namespace moecarlo::hw {
namespace {

using nlohmann::json;

constexpr const char* layer_keys[] = {"num_hidden_layers", "n_layers", "num_layers"};
constexpr const char* type_keys[] = {"layer_types", "layers_block_type"};

/// What a layer looks back at, or what it is instead.
enum class Reach { all, window, recurrence, experts, network };

const std::map<std::string, Reach, std::less<>> reach_words{{"full_attention", Reach::all},
                                                            {"global_attention", Reach::all},
                                                            {"indexed_attention", Reach::all},
                                                            {"attention", Reach::all},
                                                            {"sliding_attention", Reach::window},
                                                            {"chunked_attention", Reach::window},
                                                            {"linear_attention", Reach::recurrence},
                                                            {"mamba", Reach::recurrence},
                                                            {"conv", Reach::recurrence},
                                                            {"moe", Reach::experts},
                                                            {"mlp", Reach::network}};

std::size_t count_layers(const ConfigReader& config) {
  if (const auto layers = config.find(layer_keys)) {
    if (*layers < 1 || *layers > 10'000) config.refuse("num_hidden_layers", "expected 1 to 10000, found {}", *layers);
    return static_cast<std::size_t>(*layers);
  }
  for (const char* key : type_keys) {
    if (config.has(key) && config.at(key).is_array()) return config.at(key).size();
  }
  if (config.has("hybrid_override_pattern")) return config.text_or("hybrid_override_pattern", "").size();
  return static_cast<std::size_t>(config.number(layer_keys));
}

/// A pattern of Nemotron-H: M a recurrence, * attention, E experts, - a dense network.
std::vector<Reach> of_pattern(const ConfigReader& config, const std::string& pattern, std::size_t layers) {
  const char* key = "hybrid_override_pattern";
  const std::map<char, Reach> letters{
      {'M', Reach::recurrence}, {'*', Reach::all}, {'E', Reach::experts}, {'-', Reach::network}};
  if (pattern.size() != layers)
    config.refuse(key, "expected a letter for each of {} layers, found {}", layers, pattern.size());
  std::vector<Reach> reaches;
  for (const char letter : pattern) {
    const auto known = letters.find(letter);
    if (known == letters.end()) config.refuse(key, "expected the letters M, *, E and -, found '{}'", letter);
    reaches.push_back(known->second);
  }
  return reaches;
}

std::vector<Reach> of_words(const ConfigReader& config, const char* key, std::size_t layers) {
  std::vector<Reach> reaches;
  for (const std::string& word : config.words(key, layers)) {
    const auto known = reach_words.find(word);
    if (known == reach_words.end()) config.refuse(key, "layers of kind \"{}\" are not modelled", word);
    reaches.push_back(known->second);
  }
  return reaches;
}

std::vector<Reach> where(const std::vector<bool>& flags, Reach yes, Reach no) {
  std::vector<Reach> reaches;
  for (const bool flag : flags) reaches.push_back(flag ? yes : no);
  return reaches;
}

/// Kimi Linear lists the layers of each kind, the first being 1.
std::vector<Reach> of_linear_lists(const ConfigReader& config, std::size_t layers) {
  const char* key = "linear_attn_config";
  const json& table = config.at(key);
  const json none = json::array();
  const auto full =
      config.members(table.contains("full_attn_layers") ? table["full_attn_layers"] : none, key, layers, 1);
  const auto linear = config.members(table.contains("kda_layers") ? table["kda_layers"] : none, key, layers, 1);
  for (std::size_t i = 0; i < layers; ++i) {
    if (full[i] == linear[i])
      config.refuse(key, "expected layer {} in either full_attn_layers or kda_layers, found it in {}", i + 1,
                    full[i] ? "both" : "neither");
  }
  return where(full, Reach::all, Reach::recurrence);
}

bool has_windows(const ConfigReader& config) {
  const double window = config.find(window_keys).value_or(0);
  return config.flag_or("use_sliding_window", true) && window > 0;
}

/// Keys that say how often a layer looks back at everything.
struct Period {
  const char* key;
  std::vector<bool> full;
};

std::optional<Period> find_period(const ConfigReader& config, std::size_t layers) {
  const auto last_of_every = [&](double period) {
    std::vector<bool> full;
    for (std::size_t i = 0; i < layers; ++i) full.push_back(std::fmod(static_cast<double>(i + 1), period) == 0);
    return full;
  };
  for (const char* key : {"full_attention_interval", "global_attn_every_n_layers", "layer_group_size"}) {
    const auto period = config.find(key);
    if (!period) continue;
    if (*period < 1) config.refuse(key, "expected a whole number from 1, found {}", *period);
    Period found{key, last_of_every(*period)};
    // A last group that is not whole has attention alone.
    const bool groups = std::string_view(key) == "layer_group_size";
    for (std::size_t i = layers - layers % static_cast<std::size_t>(*period); groups && i < layers; ++i)
      found.full[i] = true;
    return found;
  }
  if (!config.has("attn_layer_period")) return std::nullopt;
  const double period = config.number("attn_layer_period"), offset = config.number_or("attn_layer_offset", 0);
  if (offset >= period) config.refuse("attn_layer_offset", "expected less than {}, found {}", period, offset);
  Period found{"attn_layer_period", {}};
  for (std::size_t i = 0; i < layers; ++i) found.full.push_back(std::fmod(static_cast<double>(i), period) == offset);
  return found;
}

/// Without a list: a key, or what the family does.
std::vector<Reach> of_periods(const ConfigReader& config, const Family& family, std::size_t layers) {
  const bool recurrent = family.recurrence != Recurrence::none;
  if (!recurrent && !has_windows(config)) return std::vector(layers, Reach::all);
  const Reach others = recurrent ? Reach::recurrence : Reach::window;
  if (const auto period = find_period(config, layers)) return where(period->full, Reach::all, others);
  if (recurrent && family.full_every == 0)
    config.refuse("layer_types", "no such key, and no other says which layers have attention");
  std::vector<bool> full;
  const double every = config.number_or("sliding_window_pattern", family.full_every);
  for (std::size_t i = 0; i < layers; ++i)
    full.push_back(every > 0 && std::fmod(static_cast<double>(i + 1), every) == 0);
  return where(full, Reach::all, others);
}

std::vector<Reach> read_reaches(const ConfigReader& config, const Family& family, std::size_t layers) {
  for (const char* key : type_keys) {
    if (!config.has(key)) continue;
    auto reaches = of_words(config, key, layers);
    const auto period = find_period(config, layers);
    for (std::size_t i = 0; period && i < layers; ++i) {
      if (period->full[i] != (reaches[i] == Reach::all))
        config.refuse(period->key, "contradicts {} in layer {}", key, i);
    }
    return reaches;
  }
  if (config.has("hybrid_override_pattern"))
    return of_pattern(config, config.text_or("hybrid_override_pattern", ""), layers);
  if (config.has("linear_attn_config")) return of_linear_lists(config, layers);
  if (config.has("attn_type_list")) return where(config.flags("attn_type_list", layers), Reach::all, Reach::recurrence);
  if (config.has("hybrid_layer_pattern"))
    return where(config.flags("hybrid_layer_pattern", layers), Reach::window, Reach::all);
  if (config.has("no_rope_layers") && config.at("no_rope_layers").is_array() && !config.at("no_rope_layers").empty())
    return where(config.flags("no_rope_layers", layers), Reach::window, Reach::all);
  return of_periods(config, family, layers);
}

/// Sizes that layers with a window have of their own.
json changed_by_window(const ConfigReader& config) {
  json changed = json::object();
  const auto take = [&](const char* own, const char* key) {
    if (config.has(own)) changed[key] = config.at(own);
  };
  take("swa_num_attention_heads", "num_attention_heads");
  take("num_sliding_attention_heads", "num_attention_heads");
  take("swa_num_key_value_heads", "num_key_value_heads");
  take("swa_head_dim", "head_dim");
  take("swa_v_head_dim", "v_head_dim");
  if (!config.has("attention_other_setting")) return changed;  // Step 3.5
  for (const auto& [key, value] : config.at("attention_other_setting").items()) {
    if (key != "attention_type" && key != "true_head_dim") changed[key] = value;
  }
  return changed;
}

/// And those of layers that look back at everything.
json changed_by_reach(const ConfigReader& config) {
  json changed = json::object();
  for (const char* key : window_keys) changed[key] = nullptr;
  if (config.has("global_head_dim")) changed["head_dim"] = config.at("global_head_dim");
  if (config.has("num_global_key_value_heads"))
    changed["num_key_value_heads"] = config.at("num_global_key_value_heads");
  if (config.flag_or("attention_k_eq_v", false)) changed["projections_of_keys_and_values"] = 1;
  return changed;
}

void take_changes_of_layers(const ConfigReader& config, std::vector<ConfigLayer>& layers) {
  if (config.has("num_attention_heads_per_layer")) {
    const auto heads = config.numbers("num_attention_heads_per_layer", layers.size());
    for (std::size_t i = 0; i < layers.size(); ++i)
      layers[i].changed["num_attention_heads"] = static_cast<std::int64_t>(heads[i]);
  }
  if (config.has("indexer_types")) {
    const auto types = config.words("indexer_types", layers.size());
    for (std::size_t i = 0; i < layers.size(); ++i) {
      if (types[i] == "shared")
        layers[i].changed["index_n_heads"] = nullptr;
      else if (types[i] != "full")
        config.refuse("indexer_types", "indexers of kind \"{}\" are not modelled", types[i]);
    }
  }
  if (config.has("no_rope_layers") && config.has("kv_lora_rank")) {  // their latent takes the place of the rotary key
    const double rope = config.number("qk_rope_head_dim"), nope = config.number("qk_nope_head_dim");
    const auto rotates = config.numbers("no_rope_layers", layers.size());
    for (std::size_t i = 0; i < layers.size(); ++i) {
      if (rotates[i] != 0) continue;
      layers[i].changed["qk_rope_head_dim"] = 0;
      layers[i].changed["qk_nope_head_dim"] = static_cast<std::int64_t>(rope + nope);
    }
  }
  if (config.has("kv_source_layers")) {
    const auto sources = config.numbers("kv_source_layers", layers.size());
    for (std::size_t i = 0; i < layers.size(); ++i) {
      if (sources[i] != static_cast<double>(i))
        config.refuse("kv_source_layers", "layers that share keys and values are not modelled");
    }
  }
  if (!config.has("per_layer_config")) return;
  for (const auto& [number, table] : config.at("per_layer_config").items()) {
    std::size_t i = layers.size();
    const char* end = number.data() + number.size();
    if (std::from_chars(number.data(), end, i).ptr != end || i >= layers.size())
      config.refuse("per_layer_config", "expected layers 0 to {}, found {}", layers.size() - 1,
                    json(number).dump(-1, ' ', true, json::error_handler_t::replace));
    for (const auto& [key, value] : table.items()) layers[i].changed[key] = value;
  }
}

}  // namespace

std::vector<ConfigLayer> read_config_layers(const ConfigReader& config, const Family& family) {
  const std::size_t count = count_layers(config);
  const auto reaches = read_reaches(config, family, count);
  has_windows(config);
  // Of kinds of layers that the list above has or has not.
  for (const char* key : {"sliding_window_pattern", "prefix_dense_sliding_window_pattern", "index_block_size",
                          "index_topk_blocks", "index_local_blocks", "index_n_heads", "index_head_dim", "index_topk"})
    config.note_read(key);
  const auto experts = family.dense ? std::vector<bool>(count, false) : layers_with_experts(config, count);
  const json within = changed_by_window(config), beyond = changed_by_reach(config);
  std::vector<ConfigLayer> layers(count);
  for (std::size_t i = 0; i < count; ++i) {
    ConfigLayer& layer = layers[i];
    layer.experts = experts[i];
    switch (reaches[i]) {
      case Reach::window:
        layer.changed = within;
        break;
      case Reach::all:
        layer.changed = beyond;
        break;
      case Reach::recurrence:
        layer.mixer = MixerKind::recurrence;
        break;
      case Reach::experts:
      case Reach::network:
        layer.mixer = MixerKind::none;
        layer.experts = reaches[i] == Reach::experts;
        break;
    }
  }
  // Where some layers are a network alone, the others have none.
  if (std::any_of(layers.begin(), layers.end(), [](const auto& one) { return one.mixer == MixerKind::none; })) {
    for (ConfigLayer& layer : layers) layer.network = layer.mixer == MixerKind::none;
  }
  take_changes_of_layers(config, layers);
  return layers;
}

}  // namespace moecarlo::hw
