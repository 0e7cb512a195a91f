#pragma once

#include <algorithm>
#include <functional>
#include <vector>

#include "cuda/core/starts.hpp"

namespace moecarlo::testing {

/// The start table of sequences of these lengths at one draft depth, built by counting.
struct StartTable {
  std::vector<Sequence> entries;
  std::vector<std::uint32_t> cumulative{0};

  StartTable(std::vector<std::uint32_t> lengths, std::uint32_t depth) {
    std::sort(lengths.begin(), lengths.end(), std::greater<>());
    std::uint32_t first = 0;
    for (const std::uint32_t length : lengths) {
      entries.push_back({first, length});
      first += length;
      if (length > depth) cumulative.push_back(cumulative.back() + length - depth);
    }
  }

  std::uint32_t eligible() const { return static_cast<std::uint32_t>(cumulative.size() - 1); }
  std::uint32_t starts() const { return cumulative.back(); }
  StartView view() const { return {entries.data(), cumulative.data(), eligible()}; }
};

}  // namespace moecarlo::testing
