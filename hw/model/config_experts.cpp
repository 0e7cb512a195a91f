#include "hw/model/config_experts.hpp"

#include <fmt/format.h>

#include <cmath>

#include "host/support/json_file.hpp"

namespace moecarlo::hw {
namespace {

using nlohmann::json;

constexpr const char* dense_first_keys[] = {"first_k_dense_replace", "num_dense_layers", "n_dense_layers",
                                            "moe_layer_num_skipped"};

/// One rule for which layers have experts, by the key that states it.
struct Rule {
  const char* key;
  std::vector<bool> experts;
};

/// Lists that state it for every layer.
std::vector<Rule> listed_experts(const ConfigReader& config, std::size_t layers) {
  std::vector<Rule> rules;
  if (config.has("mlp_layer_types")) {
    std::vector<bool> experts;
    for (const std::string& word : config.words("mlp_layer_types", layers)) {
      if (word != "sparse" && word != "dense" && word != "moe")
        config.refuse("mlp_layer_types", "networks of kind \"{}\" are not modelled", word);
      experts.push_back(word != "dense");
    }
    rules.push_back({"mlp_layer_types", experts});
  }
  if (config.has("moe_layers"))
    rules.push_back({"moe_layers", config.members(config.at("moe_layers"), "moe_layers", layers, 0)});
  if (config.has("moe_layers_enum")) {
    const json& value = config.at("moe_layers_enum");
    const json list = value.is_string() ? parse_json<json>(fmt::format("[{}]", value.get<std::string>()),
                                                           config.file() + ": moe_layers_enum")
                                        : value;
    rules.push_back({"moe_layers_enum", config.members(list, "moe_layers_enum", layers, 0)});
  }
  for (const char* key : {"moe_layer_freq", "is_moe_layer"}) {
    if (config.has(key) && config.at(key).is_array()) rules.push_back({key, config.flags(key, layers)});
  }
  return rules;
}

/// Keys that each take some layers out, the layers that are left having experts.
class Periods {
 public:
  Periods(const ConfigReader& config, std::size_t layers) : config_(config), experts_(layers, true) {}

  template <class Leaves>
  void keep(const char* key, const Leaves& leaves) {
    key_ = key;
    for (std::size_t i = 0; i < experts_.size(); ++i) experts_[i] = experts_[i] && leaves(static_cast<double>(i));
  }

  void read(bool list_of_frequencies) {
    if (const auto dense = config_.find(dense_first_keys)) {
      if (*dense > static_cast<double>(experts_.size()))
        config_.refuse("first_k_dense_replace", "expected at most {} layers, found {}", experts_.size(), *dense);
      keep("first_k_dense_replace", [&](double i) { return i >= *dense; });
    }
    if (!list_of_frequencies) every("moe_layer_freq", 0);
    every("moe_layer_frequency", 0);
    every("decoder_sparse_step", 1);
    every("interleave_moe_layer_step", 1);
    if (config_.has("mlp_only_layers")) {
      const auto dense = config_.members(config_.at("mlp_only_layers"), "mlp_only_layers", experts_.size(), 0);
      keep("mlp_only_layers", [&](double i) { return !dense[static_cast<std::size_t>(i)]; });
    }
    if (config_.has("expert_layer_period")) {
      const double period = positive("expert_layer_period"), offset = config_.number_or("expert_layer_offset", 0);
      if (offset >= period) config_.refuse("expert_layer_offset", "expected less than {}, found {}", period, offset);
      keep("expert_layer_period", [&](double i) { return std::fmod(i, period) == offset; });
    }
    if (config_.has("moe_layer_start_index")) read_range();
  }

  const char* key() const { return key_; }
  const std::vector<bool>& experts() const { return experts_; }

 private:
  double positive(const char* key) const {
    const double value = config_.number(key);
    if (value < 1) config_.refuse(key, "expected a whole number from 1, found {}", value);
    return value;
  }

  /// Layer i has experts where i + `ahead` is a multiple.
  void every(const char* key, double ahead) {
    if (!config_.has(key)) return;
    const double period = positive(key);
    if (period > 1) keep(key, [&](double i) { return std::fmod(i + ahead, period) == 0; });
  }

  void read_range() {
    const double first = config_.number("moe_layer_start_index"),
                 interval = config_.has("moe_layer_interval") ? positive("moe_layer_interval") : 1;
    const auto layers = static_cast<double>(experts_.size());
    const bool to_the_end = config_.has("moe_layer_end_index") && config_.at("moe_layer_end_index") == -1;
    const double last = to_the_end ? layers - 1 : config_.number_or("moe_layer_end_index", layers - 1);
    if (last >= layers || first > last)
      config_.refuse("moe_layer_end_index", "expected {} to {}, found {}", first, layers - 1, last);
    keep("moe_layer_start_index", [&](double i) { return i >= first && i <= last && std::fmod(i + 1, interval) == 0; });
  }

  const ConfigReader& config_;
  std::vector<bool> experts_;
  const char* key_ = nullptr;
};

}  // namespace

std::vector<bool> layers_with_experts(const ConfigReader& config, std::size_t layers) {
  const auto rules = listed_experts(config, layers);
  Periods periods(config, layers);
  periods.read(config.has("moe_layer_freq") && config.at("moe_layer_freq").is_array());
  const std::vector<bool>& expected = rules.empty() ? periods.experts() : rules.front().experts;
  for (const Rule& rule : rules) {
    if (rule.experts != expected)
      config.refuse(rule.key, "contradicts {}: other layers have experts", rules.front().key);
  }
  if (!rules.empty() && periods.key() != nullptr && periods.experts() != expected)
    config.refuse(periods.key(), "contradicts {}: other layers have experts", rules.front().key);
  return expected;
}

}  // namespace moecarlo::hw
