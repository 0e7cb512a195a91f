#include "host/simulate/demand_calibration.hpp"

#include <algorithm>
#include <vector>

#include "cuda/core/demand/demands.hpp"

namespace moecarlo {
namespace {

/// One token in one layer, as rules see a column. Its choices have numbers of their own.
struct TokenChoices {
  static constexpr int kWords = 16;
  using Mask = ExpertMask<kWords>;

  const std::uint16_t* gates;
  std::uint32_t count;
  const std::vector<std::uint32_t>& entropy_terms;

  Mask chosen(std::uint32_t) const { return Mask::first(count); }
  std::uint32_t entropy_term(std::uint32_t gate) const { return entropy_terms[gate]; }
  std::uint32_t confidence(std::uint32_t) const { return 0; }  // of drafts alone
  template <class Use>
  void each_choice(std::uint32_t, const Use& use) const {
    for (std::uint32_t i = 0; i < count; ++i) use(i, gates[i]);
  }
};

}  // namespace

Demand calibrated(Demand demand, const Plan& plan, const RoutingTable& table) {
  with_demand(demand.rule, [&](auto rule) {
    using Rule = decltype(rule);
    if constexpr (Rule::kCalibrates) {
      if (!Rule::is_calibrated(demand.numbers)) return;
      const std::uint32_t choices = table.top_k / table.slices;
      std::vector<std::uint64_t> measures;
      for (const std::uint32_t s : table.split.calibration) {
        const Sequence& sequence = table.sequences[s];
        const std::size_t first = std::size_t{sequence.first} * table.layers;
        for (std::size_t row = first; row < first + std::size_t{sequence.length} * table.layers; ++row) {
          const TokenChoices token{plan.sources.gate_mass.data() + row * choices, choices, plan.entropy_terms};
          measures.push_back(Rule::measure(token, 0, demand.numbers));
        }
      }
      if (measures.empty()) return;  // prefills: what decoding calibrated holds for them
      std::sort(measures.begin(), measures.end());
      Rule::calibrate(demand.numbers, measures.data(), measures.size());
    }
  });
  return demand;
}

}  // namespace moecarlo
