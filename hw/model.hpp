#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "host/weights/weight_figures.hpp"
#include "hw/preset.hpp"

namespace moecarlo::hw {

/// A weight matrix: `inputs` activations in, `outputs` out.
struct Matrix {
  double inputs = 0, outputs = 0;
  double weights() const { return inputs * outputs; }
};

/// How a weight is stored: `bits` integer bits and one scale a group.
struct WeightFormat {
  double bits = 8, group_size = 32, scale_bits = 16;
  /// What real weights hold: their bit planes are stored coded, and multiplications by slices of zeros are left out.
  /// Null: nominal, every bit counts.
  std::shared_ptr<const WeightFigures> measured{};

  /// Bits per weight with its share of the scale, when `kept` upper bits of each weight are stored.
  double stored_bits(double kept) const {
    return (measured ? coded_upper_bits(*measured, static_cast<int>(kept)) : kept) + scale_bits / group_size;
  }
  double stored_bits() const { return stored_bits(bits); }

  /// Share of the multiplications by `kept` upper bits that have to be done where one pass takes `pass_bits` of them.
  double multiplied_share(double kept, double pass_bits) const {
    return measured ? 1 - skipped_share(*measured, static_cast<int>(kept), static_cast<int>(pass_bits)) : 1;
  }

  /// True where upper bits are a usable weight on their own (8-bit integers). MXFP4 is only ever moved whole.
  bool sliceable() const { return bits == 8; }
};

/// The one decoder layer that drafts in EAGLE: its attention reads token and feature side by side. It has a vocabulary
/// projection of its own. Source: EAGLE-2, arXiv 2406.16858.
struct DraftHead {
  double query_width = 0, kv_width = 0, ffn = 0;
};

/// An MoE transformer as the hardware sees it: the matrices of one layer of each kind, and the KV cache.
/// Norms, biases and the softmax are left out; the embedding table counts only as stored bytes. The KV cache counts in
/// full in every layer, sliding windows included, as in Table 3 of ELMoE-3D (arXiv 2604.14626).
struct Model {
  std::string name;
  std::uint32_t experts = 0, top_k = 0;
  std::uint32_t moe_layers = 0, dense_layers = 0;
  double hidden = 0, vocabulary = 0;
  std::vector<Matrix> attention;     ///< one layer's projections
  std::vector<Matrix> moe_dense;     ///< of an MoE layer: router and shared experts
  std::vector<Matrix> dense_ffn;     ///< of a layer without experts
  std::vector<Matrix> expert;        ///< one routed expert: gate, up, down
  double kv_bytes_per_position = 0;  ///< one token, one layer
  double kv_bits = 16;
  double attention_macs_per_position =
      0;  ///< scores and values of one query token against one cached position, one layer
  WeightFormat dense_format, expert_format;
  DraftHead draft_head;
  Preset preset;  ///< the constants all this was made of

  std::uint32_t layers() const { return moe_layers + dense_layers; }
  Matrix lm_head() const { return {hidden, vocabulary}; }
};

double weights(const std::vector<Matrix>& matrices);

double expert_bytes(const Model& model);        ///< one routed expert, whole
double experts_bytes(const Model& model);       ///< all routed experts of all layers
double dense_bytes(const Model& model);         ///< all that every token reads: attention, router, shared, LM head
double kv_bytes_per_token(const Model& model);  ///< over all layers
double stored_bytes(const Model& model);        ///< dense, all experts and the embedding table

/// The rows bits, group_size and scale_bits of a table.
WeightFormat read_format(PresetReader& reader, const std::string& table);

/// Throws usage where the preset lacks a constant, holds an unknown one, or one out of range.
Model make_model(const Preset& preset);

/// A Hugging Face config.json as a model preset: Mixtral, Qwen2/3-MoE, GPT-OSS, DeepSeek-V2/V3 and their like. Weights
/// are taken as INT8 in groups of 32 (experts as MXFP4 where the file says so), whatever type the checkpoint is stored
/// in. Throws input, naming file and key.
Preset read_huggingface_config(const std::filesystem::path& file);

/// The model that `name` stands for: a preset (see find_preset), a config.json, or a folder that holds one.
Model read_model(const std::string& name);

}  // namespace moecarlo::hw
