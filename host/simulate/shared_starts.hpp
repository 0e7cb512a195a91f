#pragma once

#include <cstdint>
#include <vector>

#include "host/study/grid.hpp"
#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// The share of rounds of fresh starts that count for batches of 1 .. most at a depth: all their requests have that
/// many tokens ahead. Starts are drawn as draw_start does, each request kept apart from those before it where there are
/// twice as many sequences as requests so far; what is left of the sequences is taken at its mean.
std::vector<double> shares_that_fit(const std::vector<std::uint32_t>& lengths, std::uint32_t depth, std::uint32_t most);

/// Which cells of a study whose rounds draw fresh starts are better walked as episodes of their own: fewer than a third
/// of the rounds would count, or requests would be kept apart where too few sequences are eligible at the depth for
/// that. Larger batches and depths than such a cell's stand apart too.
std::vector<bool> cells_better_apart(const Grid& grid, const RoutingTable& table);

}  // namespace moecarlo
