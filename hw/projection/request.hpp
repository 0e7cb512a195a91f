#pragma once

#include <cstdint>
#include <vector>

#include "hw/plan/mean_time.hpp"
#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {

/// One request: tokens in, in chunks of so many, and tokens out, so many in a round of the mean.
struct Request {
  std::uint32_t prompt = 0, chunk = 1, output = 1;
  double tokens_per_round = 1;
  Serving serving;  ///< of its rounds; their context is that of the request's middle
  double partial_sum_bytes = 0;
};

/// What a layer's experts do in its chunks and in its rounds.
struct RequestCounts {
  std::vector<MeanCounts> chunks;
  MeanCounts round;
  /// [chunks] partial sums of a layer that its memory has no room for: each goes home and comes back once. Empty: none.
  std::vector<double> spills{};
};

struct RequestCost {
  double time_to_first_token = 0;    ///< seconds; all chunks
  double time_per_output_token = 0;  ///< seconds
  double seconds = 0, joules = 0;    ///< of all

  double joules_per_output_token(const Request& request) const { return joules / request.output; }
};

/// Partial sums of so many bits that a memory holds, one for each token, as wide as the model.
std::uint32_t partial_sum_slots(const Model& model, double memory_bytes, double bits);

/// A request from its first chunk to its last token, alone on the machine. Throws usage where there are not as many
/// counts as chunks, or spills where there are any.
RequestCost cost_of(const System& system, const Scheme& scheme, const Model& model, Request request,
                    const RequestCounts& counts);

}  // namespace moecarlo::hw
