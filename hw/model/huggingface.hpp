#pragma once

#include <filesystem>

#include "hw/presets/preset.hpp"

namespace moecarlo::hw {

/// A Hugging Face config.json as a model preset. The family (model_type) says what the keys leave open; of a model that
/// also sees or hears, the part that reads text is taken. What is not modelled is refused by its key, and so is every
/// key that nobody knows, for it may change what the model is made of; keys that say nothing about sizes may stand.
/// Multi-token prediction is no part of the model. Weights are taken as INT8 in groups of 32 (experts as MXFP4 where
/// the file says so), whatever type the checkpoint is stored in. Throws input, naming file and key.
Preset read_huggingface_config(const std::filesystem::path& file);

}  // namespace moecarlo::hw
