#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "host/weights/weight_figures.hpp"
#include "hw/model/layer.hpp"
#include "hw/presets/preset.hpp"

namespace moecarlo::hw {

/// How a weight is stored: `bits` integer bits and one scale a group, of no bits where there is none.
struct WeightFormat {
  double bits = 8, group_size = 32, scale_bits = 16;
  /// What real weights hold: their bit planes are stored coded, and multiplications by slices of zeros are left out.
  /// Null: nominal, every bit counts.
  std::shared_ptr<const WeightFigures> measured{};
  /// A lossless code of the whole weights (hw/schemes/coding.hpp): their size, scales left out, and the operations by
  /// them, both relative; and weights that are decoded in a second, 0: without taking time.
  double coded_share = 1, operations_share = 1, decoded_per_second = 0;
  bool short_floats = false;  ///< upper bits of its 16 are a weight of their own: SPEQ (hw/schemes/speq_float.cpp)

  /// Bits per weight with its share of the scale, when `kept` upper bits of each weight are stored.
  double stored_bits(double kept) const {
    const double whole = measured ? coded_upper_bits(*measured, static_cast<int>(kept)) : kept;
    return coded_share * whole + scale_bits / group_size;
  }
  double stored_bits() const { return stored_bits(bits); }

  /// Share of the multiplications by `kept` upper bits that have to be done where one pass takes `pass_bits` of them.
  double multiplied_share(double kept, double pass_bits) const {
    const double skipped = measured ? skipped_share(*measured, static_cast<int>(kept), static_cast<int>(pass_bits)) : 0;
    return operations_share * (1 - skipped);
  }

  /// True where upper bits are a usable weight on their own (8-bit integers). MXFP4 is only ever moved whole.
  bool sliceable() const { return bits == 8 || short_floats; }
};

/// The one decoder layer that drafts in EAGLE: its attention reads token and feature side by side. It has a vocabulary
/// projection of its own. Source: EAGLE-2, arXiv 2406.16858.
struct DraftHead {
  double query_width = 0, kv_width = 0, ffn = 0;  ///< 0: the model states none
};

/// A transformer as the hardware sees it: its layers by kind, one routed expert, and the ends. A dense model is one
/// whose preset has no table of experts. Norms and biases are left out; the embedding table counts only as stored
/// bytes.
struct Model {
  std::string name;
  std::uint32_t experts = 0, top_k = 0;
  std::vector<LayerKind> layers;  ///< those with experts first
  std::uint32_t moe_layers = 0;   ///< of all kinds
  double hidden = 0, vocabulary = 0;
  bool tied_embeddings = false;  ///< the vocabulary projection is the embedding table
  std::vector<Matrix> expert;    ///< one routed expert: gate and up, down
  double kv_bits = 16;
  double kv_read_share = 1;  ///< of the cached keys and values: what a token reads (BGPP, hw/schemes/coding.hpp)
  WeightFormat dense_format, expert_format;
  DraftHead draft_head;
  Preset preset;  ///< the constants all this was made of

  bool is_dense() const { return experts == 0; }
  Matrix lm_head() const { return {hidden, vocabulary}; }
};

std::uint32_t count_layers(const Model& model);

double total_parameters(const Model& model);   ///< tied embeddings once
double active_parameters(const Model& model);  ///< that one token is multiplied by; no embedding look-up

double expert_bytes(const Model& model);     ///< one routed expert, whole
double experts_bytes(const Model& model);    ///< all routed experts of all layers
double dense_bytes(const Model& model);      ///< all that every token reads: attention, router, shared, LM head
double embedding_bytes(const Model& model);  ///< the table, where it is not the LM head's
double stored_bytes(const Model& model);     ///< dense, all experts and the embedding table

/// Keys and values that one more token adds over all layers, windows not yet full.
double kv_bytes_per_token(const Model& model);

/// What a request with so many positions behind it keeps: keys and values, in windows no more than fit, and states.
double request_bytes(const Model& model, double positions);

/// The rows bits, group_size and scale_bits of a table.
WeightFormat read_format(PresetReader& reader, const std::string& table);

/// Throws usage where the preset lacks a constant, holds an unknown one, or one out of range.
Model make_model(const Preset& preset);

/// The model that `name` stands for: a preset (see find_preset), a config.json (see huggingface.hpp), or a folder that
/// holds one.
Model read_model(const std::string& name);

}  // namespace moecarlo::hw
