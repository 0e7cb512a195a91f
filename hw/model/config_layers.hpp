#pragma once

#include <string>
#include <vector>

#include "hw/model/config_reader.hpp"
#include "hw/model/families.hpp"

namespace moecarlo::hw {

/// What one layer mixes tokens with.
enum class MixerKind { attention, recurrence, none };

/// One layer as the config describes it.
struct ConfigLayer {
  MixerKind mixer = MixerKind::attention;
  nlohmann::json changed = nlohmann::json::object();  ///< keys whose value is another than the model's in this layer
  bool network = true;                                ///< a feed-forward network follows
  bool experts = true;                                ///< of routed experts
};

/// All layers, in order, from whichever keys the config has for that. Refuses words that it does not know, lists of
/// another length than there are layers, and keys that contradict each other.
std::vector<ConfigLayer> read_config_layers(const ConfigReader& config, const Family& family);

}  // namespace moecarlo::hw
