#pragma once

#include <string>

#include "hw/model/config_reader.hpp"
#include "hw/model/families.hpp"
#include "hw/presets/preset.hpp"

namespace moecarlo::hw {

/// What a config.json calls the positions that a layer looks back at, where it does not at all.
inline constexpr const char* window_keys[] = {"sliding_window", "sliding_window_size", "attention_chunk_size"};

/// Rows of a preset that a config.json gives.
class PresetWriter {
 public:
  explicit PresetWriter(Preset& preset) : preset_(preset) {}

  void count(const std::string& key, double value);
  void add(const std::string& key, double value, const char* unit, const char* status, const char* source);

 private:
  Preset& preset_;
};

/// The table `name` of a model preset (see read_mixer) for attention, and for the family's recurrence. `name` begins
/// with attention, and with recurrence_table.
void write_attention(const ConfigReader& config, const Family& family, const std::string& name, PresetWriter& writer);
void write_recurrence(const ConfigReader& config, const Family& family, const std::string& name, PresetWriter& writer);
const char* recurrence_table(Recurrence recurrence);

double hidden_size(const ConfigReader& config);
double head_count(const ConfigReader& config);
double key_value_heads(const ConfigReader& config);
double head_size(const ConfigReader& config, const Family& family);

}  // namespace moecarlo::hw
