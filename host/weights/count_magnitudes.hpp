#pragma once

#include <cstdint>
#include <span>

#include "host/weights/format_counts.hpp"

namespace moecarlo {

/// Rows that are counted together: whole groups of 1 .. kMostMergedRows of them.
constexpr std::uint64_t kMagnitudeRows = 60;
static_assert(kMostMergedRows == 6 && kMagnitudeRows % 60 == 0, "a multiple of every size of a group");

/// Counts rows first .. first + kMagnitudeRows - 1 (those that exist) of INT8 weights [rows][columns] into zero_weights
/// and planes, on this thread.
MagnitudeCounts count_magnitudes(std::span<const std::int8_t> weights, std::uint64_t columns, std::uint64_t first);

}  // namespace moecarlo
