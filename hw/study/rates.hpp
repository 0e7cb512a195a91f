#pragma once

#include <optional>

#include "host/statistics/quantity.hpp"
#include "hw/projection/evaluate.hpp"

namespace moecarlo::hw {

/// What a row's rounds yield, with what every group thinks of it.
struct Rates {
  Quantity tokens_per_round;
  Quantity tokens_per_second;
  Quantity seconds_per_token;
  Quantity joules_per_token;
  std::optional<Quantity> seconds_per_chunk{};  ///< of all rounds, for each that takes a chunk along; where some do
};

/// Speed is E[tokens] / E[time] over rounds (renewal-reward). Where tokens per round do not depend on the trace, the
/// replicates, which measure what another trace would change, are freed of their noise.
/// `certain`: every round takes equally long by definition.
Rates rates_of(const Sampling& sampling, const Projection& projection, bool lengths_read_trace, bool certain);

}  // namespace moecarlo::hw
