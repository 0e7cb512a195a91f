#pragma once

#include <filesystem>

#include "hw/preset.hpp"

namespace moecarlo::hw {

/// A Hugging Face config.json as a model preset: Mixtral, Qwen2/3-MoE, GPT-OSS, DeepSeek-V2/V3 and their like. Weights
/// are taken as INT8 in groups of 32 (experts as MXFP4 where the file says so), whatever type the checkpoint is stored
/// in. Throws input, naming file and key.
Preset read_huggingface_config(const std::filesystem::path& file);

}  // namespace moecarlo::hw
