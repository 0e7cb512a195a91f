#pragma once

#include <cstdint>
#include <vector>

#include "host/trace/routing_table.hpp"

namespace moecarlo::testing {

/// A small synthetic trace, made straight in memory.
struct TableSpec {
  std::uint32_t layers = 2, experts = 16, top_k = 2;
  std::vector<std::uint32_t> lengths = {40, 30, 20, 25};  ///< tokens of each sequence
  double skew = 0;                ///< expert i is drawn with weight (i + 1)^-skew; 0 = independent uniform routing
  double repeat = 0;              ///< probability that a token keeps one choice of the token before it
  std::uint32_t calibrating = 0;  ///< the first sequences calibrate and the rest is evaluated; 0 = all do both
  std::uint32_t seed = 1;
};

RoutingTable random_table(const TableSpec& spec);

/// Packs choices [tokens][layers][top_k], by expert index, into masks in the order of popularity.
RoutingTable pack_table(const TableSpec& spec, const std::vector<std::uint32_t>& choices);

}  // namespace moecarlo::testing
