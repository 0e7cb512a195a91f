#pragma once

#include <string_view>

namespace moecarlo::hw {

/// What scales the output of attention: one factor a head, or one a channel, each from a projection of its own.
enum class Gate { none, heads, channels };

/// A recurrence in place of attention.
enum class Recurrence { none, delta, channel_delta, lightning, mamba, mamba2, convolution };

/// What the config.json of a family does not say, and which of two keys holds what.
struct Family {
  std::string_view names;  ///< values of model_type, with spaces between; a trailing _text is left out
  const char* expert_width = "moe_intermediate_size";
  const char* dense_width = "intermediate_size";
  bool tied_embeddings = false;  ///< where tie_word_embeddings is absent
  double head_size = 0;          ///< where head_dim is absent; 0: hidden size / heads
  Gate gate = Gate::none;
  Recurrence recurrence = Recurrence::none;  ///< what its layers without attention are
  int full_every = 0;       ///< without another key, one layer in so many looks back at everything: the last; 0: all
  bool dense = false;       ///< no layer has experts
  bool one_shared = false;  ///< a shared expert of the routed width in every layer with experts, and no key for it
  bool network_beside = false;   ///< the dense network stands in every layer, beside the experts
  bool gate_from_query = false;  ///< query and gate are projected from the query's low rank twice as wide
};

/// The family of a model_type; null where none is known.
const Family* find_family(std::string_view model_type);

/// What files without a model_type are taken for: attention and experts, with a key for everything.
const Family& plain_family();

}  // namespace moecarlo::hw
