#include "hw/model/config_mixers.hpp"

#include <cmath>

namespace moecarlo::hw {
namespace {

constexpr const char* head_keys[] = {"num_attention_heads", "n_heads"};
constexpr const char* kv_head_keys[] = {"num_key_value_heads", "num_attention_groups", "kv_n_heads"};
constexpr const char* head_size_keys[] = {"head_dim", "attention_head_dim"};

/// Which projection scales the output, by the key that turns it on or off where there is one.
Gate gate_of(const ConfigReader& config, const Family& family) {
  for (const char* key : {"attn_output_gate", "use_head_wise_attn_gate", "gating"}) {
    if (config.has(key) && config.at(key).is_boolean() && !config.flag_or(key, true)) return Gate::none;
  }
  if (config.flag_or("use_head_wise_attn_gate", false)) return Gate::heads;
  return family.gate;
}

void write_gate(const ConfigReader& config, const Family& family, const std::string& name, double value_size,
                PresetWriter& writer) {
  const Gate gate = gate_of(config, family);
  if (gate == Gate::none) return;
  writer.count(name + ".gate_width", head_count(config) * (gate == Gate::channels ? value_size : 1));
}

void write_window(const ConfigReader& config, const std::string& name, PresetWriter& writer) {
  if (!config.flag_or("use_sliding_window", true)) return;
  if (const auto window = config.find(window_keys); window && *window > 0) writer.count(name + ".window", *window);
}

void write_grouped_attention(const ConfigReader& config, const Family& family, const std::string& name,
                             PresetWriter& writer) {
  const double size = head_size(config, family), value = config.number_or("v_head_dim", 0);
  writer.count(name + ".query_heads", head_count(config));
  writer.count(name + ".kv_heads", key_value_heads(config));
  writer.count(name + ".head_size", size);
  if (value > 0 && value != size) writer.count(name + ".value_size", value);
  if (const auto rank = config.find("share_q_dim")) writer.count(name + ".query_rank", *rank);
  if (config.find("projections_of_keys_and_values")) writer.count(name + ".projections_of_keys_and_values", 1);
  write_gate(config, family, name, value > 0 ? value : size, writer);
}

void write_latent_attention(const ConfigReader& config, const Family& family, const std::string& name,
                            PresetWriter& writer) {
  const double rope = config.number("qk_rope_head_dim"), value = config.number("v_head_dim");
  const double query_rank = config.number_or("q_lora_rank", 0);
  for (const char* unused : {"head_dim", "qk_head_dim"}) config.note_read(unused);
  config.find(kv_head_keys);
  writer.count(name + ".query_heads", head_count(config));
  writer.count(name + ".kv_rank", config.number("kv_lora_rank"));
  if (rope > 0) writer.count(name + ".rope_size", rope);
  writer.count(name + ".nope_size", config.number("qk_nope_head_dim"));
  writer.count(name + ".value_size", value);
  if (query_rank > 0) writer.count(name + ".query_rank", query_rank);
  write_gate(config, family, name, value, writer);
  if (family.gate_from_query) {
    writer.count(name + ".query_inputs", 2 * query_rank);
    writer.count(name + ".gate_inputs", 2 * query_rank);
  }
  const bool windowed = config.find(window_keys).value_or(0) > 0;
  if (!config.has("index_n_heads") || windowed) return;
  writer.count(name + ".index_heads", config.number("index_n_heads"));
  writer.count(name + ".index_size", config.number("index_head_dim"));
  writer.count(name + ".index_positions", config.number("index_topk"));
}

void write_state(const std::string& name, PresetWriter& writer) {
  writer.add(name + ".state_bits", 32, "bit", "assumed", "FP32, as engines keep recurrent states");
}

void write_delta(const ConfigReader& config, const std::string& name, PresetWriter& writer) {
  writer.count(name + ".key_heads", config.number("linear_num_key_heads"));
  writer.count(name + ".key_size", config.number("linear_key_head_dim"));
  writer.count(name + ".value_heads", config.number("linear_num_value_heads"));
  writer.count(name + ".value_size", config.number("linear_value_head_dim"));
  writer.count(name + ".kernel", config.number("linear_conv_kernel_dim"));
  writer.count(name + ".gates_per_head", 2);
}

/// Kimi delta attention, whose sizes stand in a table of their own or beside the others. The decay of each channel and
/// the output gate come through a low rank, or, in Ling's, directly.
void write_channel_delta(const ConfigReader& all, const Family& family, const std::string& name, PresetWriter& writer) {
  constexpr const char* number_keys[] = {"linear_num_heads", "num_heads"};
  constexpr const char* kernel_keys[] = {"linear_conv_kernel_dim", "short_conv_kernel_size"};
  const bool apart = all.has("linear_attn_config") && all.at("linear_attn_config").is_object();
  const ConfigReader config = apart ? all.with(all.at("linear_attn_config")) : all;
  const auto own_size = config.find("linear_head_dim");
  const double size = own_size ? *own_size : head_size(config, family);
  const double heads = config.number_or(number_keys, head_count(config));
  for (const char* key : {"key_heads", "value_heads"}) writer.count(fmt::format("{}.{}", name, key), heads);
  for (const char* key : {"key_size", "value_size"}) writer.count(fmt::format("{}.{}", name, key), size);
  writer.count(name + ".kernel", config.number(kernel_keys));
  writer.count(name + ".gates_per_head", 1);
  if (family.gate == Gate::none) {
    writer.count(name + ".gate_rank", size);
  } else {
    writer.count(name + ".decay_width", heads * size);
  }
}

void write_lightning(const ConfigReader& config, const Family& family, const std::string& name, PresetWriter& writer) {
  for (const char* key : {"key_heads", "value_heads"})
    writer.count(fmt::format("{}.{}", name, key), head_count(config));
  for (const char* key : {"key_size", "value_size"})
    writer.count(fmt::format("{}.{}", name, key), head_size(config, family));
}

bool is_auto(const ConfigReader& config, const char* key) {
  return config.has(key) && config.at(key).is_string() && config.text_or(key, "") == "auto";
}

void write_mamba(const ConfigReader& config, const std::string& name, PresetWriter& writer) {
  const double hidden = hidden_size(config);
  writer.count(name + ".inner", config.number("mamba_expand") * hidden);
  writer.count(name + ".state", config.number("mamba_d_state"));
  writer.count(name + ".kernel", config.number("mamba_d_conv"));
  writer.count(name + ".step_rank",
               is_auto(config, "mamba_dt_rank") ? std::ceil(hidden / 16) : config.number("mamba_dt_rank"));
}

void write_mamba2(const ConfigReader& config, const std::string& name, PresetWriter& writer) {
  constexpr const char* number_keys[] = {"mamba_num_heads", "mamba_n_heads"};
  constexpr const char* size_keys[] = {"mamba_head_dim", "mamba_d_head"};
  constexpr const char* state_keys[] = {"ssm_state_size", "mamba_d_state"};
  constexpr const char* group_keys[] = {"n_groups", "mamba_n_groups"};
  constexpr const char* kernel_keys[] = {"conv_kernel", "mamba_d_conv"};
  constexpr const char* expansion_keys[] = {"mamba_expand", "expand"};
  const double heads = config.number(number_keys), expansion = config.number_or(expansion_keys, 2);
  const double size =
      is_auto(config, "mamba_d_head") ? expansion * hidden_size(config) / heads : config.number(size_keys);
  writer.count(name + ".heads", heads);
  writer.count(name + ".head_size", size);
  writer.count(name + ".state", config.number(state_keys));
  writer.count(name + ".groups", config.number(group_keys));
  writer.count(name + ".kernel", config.number(kernel_keys));
}

}  // namespace

void PresetWriter::count(const std::string& key, double value) {
  add(key, value, "count", "published", "config.json of the model");
}

void PresetWriter::add(const std::string& key, double value, const char* unit, const char* status, const char* source) {
  preset_.constants.push_back({key, value, unit, status, source, 0});
}

double hidden_size(const ConfigReader& config) {
  constexpr const char* keys[] = {"hidden_size", "d_model"};
  return config.number(keys);
}

double head_count(const ConfigReader& config) {
  return config.number(head_keys);
}

double key_value_heads(const ConfigReader& config) {
  return config.number_or(kv_head_keys, head_count(config));
}

double head_size(const ConfigReader& config, const Family& family) {
  if (const auto size = config.find(head_size_keys)) return *size;
  if (family.head_size > 0) return family.head_size;
  const double heads = head_count(config);
  if (heads < 1) config.refuse(head_keys[0], "expected at least 1, found {}", heads);
  return std::floor(hidden_size(config) / heads);
}

void write_attention(const ConfigReader& config, const Family& family, const std::string& name, PresetWriter& writer) {
  if (config.number_or("kv_lora_rank", 0) > 0) {
    write_latent_attention(config, family, name, writer);
  } else {
    write_grouped_attention(config, family, name, writer);
  }
  write_window(config, name, writer);
}

const char* recurrence_table(Recurrence recurrence) {
  switch (recurrence) {
    case Recurrence::mamba:
      return "mamba";
    case Recurrence::mamba2:
      return "mamba2";
    case Recurrence::convolution:
      return "convolution";
    default:
      return "delta";
  }
}

void write_recurrence(const ConfigReader& config, const Family& family, const std::string& name, PresetWriter& writer) {
  switch (family.recurrence) {
    case Recurrence::delta:
      write_delta(config, name, writer);
      break;
    case Recurrence::channel_delta:
      write_channel_delta(config, family, name, writer);
      break;
    case Recurrence::lightning:
      write_lightning(config, family, name, writer);
      break;
    case Recurrence::mamba:
      write_mamba(config, name, writer);
      break;
    case Recurrence::mamba2:
      write_mamba2(config, name, writer);
      break;
    case Recurrence::convolution:
      writer.count(name + ".kernel", config.number("conv_L_cache"));
      break;
    case Recurrence::none:
      config.refuse("layer_types", "this family has no recurrent layers (expected attention)");
  }
  write_state(name, writer);
}

}  // namespace moecarlo::hw
