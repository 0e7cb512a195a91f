#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "host/statistics/breakdown.hpp"
#include "hw/plan/totals.hpp"

namespace moecarlo::hw {

/// Says what a round on one system consists of. The names of its figures are made once for each set of parts that a
/// plan has: thousands of rows of a study share them.
class RoundFigures {
 public:
  /// The system must outlive it.
  explicit RoundFigures(const System& system) : system_(system) {}

  /// Means of one round from totals over so many rounds that emitted so many tokens.
  Breakdown describe(const PartTotals& parts, double rounds, double tokens, double seconds_at_means);

 private:
  /// Where each figure stands among the names.
  struct Layout {
    std::shared_ptr<const Breakdown::Names> names;
    struct OfPart {
      std::size_t seconds = 0, operations = 0, bytes_read = 0;
      std::vector<std::size_t> resources;  ///< [resources]
    };
    std::vector<OfPart> parts;               ///< [RoundPart]
    std::vector<std::size_t> energy, bytes;  ///< [resources]
    std::size_t static_energy = 0, joules = 0, seconds = 0, at_means = 0, tokens = 0;
  };
  Layout make_layout(const PartTotals& parts) const;

  const System& system_;
  std::map<std::uint32_t, Layout> layouts_;  ///< by PartTotals::planned
};

}  // namespace moecarlo::hw
