#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "host/statistics/quantity.hpp"
#include "host/statistics/results.hpp"

namespace moecarlo::hw {

/// One of several hardware rows that one is chosen from.
struct Contender {
  std::size_t row = 0;              ///< index into the results
  const Quantity* speed = nullptr;  ///< tokens per second
};

/// How far the fastest leads the next one. A row that is as fast in every group (the autoregressive mode of a scheme is
/// another's, a system without a cache has no policy) is the same thing under another name and no rival; none where all
/// are.
std::optional<LeadResult> lead_of(const std::string& among, std::vector<Contender> contenders,
                                  const Sampling& sampling);

}  // namespace moecarlo::hw
