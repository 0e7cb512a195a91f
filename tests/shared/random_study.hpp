#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "host/study/grid.hpp"
#include "host/study/study.hpp"
#include "tests/oracle/trace.hpp"

namespace moecarlo::testing {

/// A small random study over a small random trace, in the oracle's plain lists.
struct RandomStudy {
  std::string description;
  oracle::Trace trace;  ///< all but its split, which the study asks for
  Study study;
  std::vector<ImpliedCapacity> implied;  ///< design points whose joint histogram is kept
};

/// Number 0, 1, 2, ... The same number gives the same study for ever. In turn they meet every mode, policy, scope,
/// object, shape of draft, acceptance model and routing of rejected columns, under few and many sequences, short and
/// long, with warm-up, fractional capacities and several widths of mask.
RandomStudy random_study(std::uint32_t number);

/// The number of the n-th study that may have demand rules.
constexpr std::uint32_t demand_study(std::uint32_t n) {
  return 121 + 3 * n;
}

/// Writes the trace as a file, with all that it knows; distances are of its own file in practice.
void write_trace(const oracle::Trace& trace, const std::filesystem::path& path);

}  // namespace moecarlo::testing
