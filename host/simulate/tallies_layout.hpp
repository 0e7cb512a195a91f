#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/simulate/tallies.hpp"
#include "host/study/names.hpp"

namespace moecarlo {

// How tallies.h5 lays out what it holds: what the one who writes it and the one who reads it have to agree on.

constexpr const char* kTalliesSchema = "moecarlo-tallies";
constexpr std::int64_t kTalliesVersion = 7;
constexpr const char* kCountersBeside = "beside";  ///< counters of whoever counts beside a study's own
constexpr const char* kPrefillGroup = "prefill";   ///< the same once more, of the prefills
constexpr const char* kMixedGroup = "mixed";       ///< the same once more, of rounds that take chunks along

const Names<Walk>& walk_names();
const Names<Acceptance>& acceptance_rule_names();

/// The columns of the records, in their order, with spaces between them.
std::string names_of(std::span<const CountInfo> counts);
/// The histograms behind them, in theirs.
std::string names_of(HistogramSet histograms);

/// One dataset of a cell: name, offset into the counters, extents.
struct Block {
  std::string name;
  std::uint64_t offset;
  std::vector<std::uint64_t> extents;

  std::uint64_t size() const {
    std::uint64_t elements = 1;
    for (const std::uint64_t extent : extents) elements *= extent;
    return elements;
  }
};

/// Every dataset of cell `index` but its joint histograms.
std::vector<Block> blocks_of(const TallyShape& shape, const TallyLayout& layout, std::size_t index);

/// The group of a cell.
std::string cell_name(std::size_t index);

}  // namespace moecarlo
