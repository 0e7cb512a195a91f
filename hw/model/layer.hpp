#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hw/presets/preset.hpp"

namespace moecarlo::hw {

constexpr double bits_per_byte = 8;

/// A weight matrix: `inputs` activations in, `outputs` out. Matrices that are multiplied with the same activations
/// (query, key and value; gate and up) stand side by side as one, so that these are sent once.
struct Matrix {
  double inputs = 0, outputs = 0;
  double weights() const { return inputs * outputs; }
};

double weights(const std::vector<Matrix>& matrices);

/// What mixes the tokens of a sequence in one layer: attention, which looks back at cached positions, or a recurrence,
/// which carries a state of fixed size.
struct Mixer {
  std::vector<Matrix> matrices;         ///< projections
  double bytes_per_position = 0;        ///< keys and values cached for one position
  double macs_per_position = 0;         ///< scores and values of one query token against one cached position
  double window = 0;                    ///< positions that are cached at most; 0 = all
  double index_bytes_per_position = 0;  ///< of that, what is read of every position to choose those attended to
  double index_macs_per_position = 0;   ///< scores of one query token against one of them
  double chosen = 0;                    ///< positions attended to at most; 0 = all
  double state_bytes = 0;               ///< of one request; read and written by every pass
  double state_macs = 0;                ///< one token's update of the state and read-out

  double cached_positions(double positions) const { return window > 0 && window < positions ? window : positions; }
  double cached_bytes(double positions) const;  ///< of one request with so many positions behind it
  double read_bytes(double positions) const;    ///< of these, by one pass
  double macs(double positions) const;          ///< of one query token against them
};

/// `count` equal layers.
struct LayerKind {
  std::string mixer_name, feed_forward_name;  ///< the preset's tables, or "none"
  std::uint32_t count = 0;
  Mixer mixer;
  std::vector<Matrix> dense;  ///< all other weights that every token uses: router and shared experts, or the network of
                              ///< a layer without experts
  bool experts = false;       ///< routed experts stand beside `dense`
};

/// Sizes that the tables of all layers share.
struct LayerSizes {
  double hidden = 0, kv_bits = 16;
};

/// The mixer of one table of a model preset. The table's name says which: `attention` or `attention_*` is grouped-query
/// attention, or multi-head latent attention where it has a `kv_rank`; `delta` is gated linear attention with a
/// delta-rule state; `mamba` and `mamba2` are selective state spaces; `convolution` is a gated short convolution.
/// Throws usage, naming the table, where the name is none of these, and as PresetReader does.
Mixer read_mixer(PresetReader& reader, const std::string& table, const LayerSizes& sizes);

/// A feed-forward network: gate and up, down; without the gate where `matrices` is 2.
std::vector<Matrix> feed_forward(double outer, double inner, std::uint32_t matrices);

}  // namespace moecarlo::hw
