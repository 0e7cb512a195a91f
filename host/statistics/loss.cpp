#include "host/statistics/loss.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "host/statistics/results.hpp"
#include "host/study/demand.hpp"

namespace moecarlo {

std::optional<Loss> loss_of(const PointResult& point) {
  if (!is_lossy(point.demand)) return std::nullopt;
  Loss loss{std::nullopt, point.depth > 0};
  for (const char* metric : {"dropped_mass", "dropped_channel_mass", "upper_mass"}) {
    const auto dropped = point.metrics.find(metric);
    if (dropped != point.metrics.end())
      loss.dropped_mass = loss.dropped_mass.value_or(0) + dropped->second.estimate.value;
  }
  return loss;
}

std::optional<Loss> placed_on(const std::optional<LossCurve>& curve, const std::string& demand,
                              std::optional<Loss> loss) {
  if (!curve || !loss || !loss->dropped_mass) return loss;
  if (const auto measured = curve->at(demand, *loss->dropped_mass)) loss->perplexity_ratio = measured->perplexity_ratio;
  return loss;
}

bool may_win(const StudyResults& results, const std::string& demand) {
  const auto drops_nothing = [](const PointResult& point) { return !is_lossy(point.demand); };
  return !is_lossy(demand) || std::none_of(results.points.begin(), results.points.end(), drops_nothing);
}

bool cuts_bits(const std::string& demand) {
  const auto rule = demand_rule(rule_of_label(demand));
  return rule && needs_slices(*rule);
}

std::string loss_text(const std::optional<Loss>& loss, const std::string& demand) {
  if (!loss) return "";
  if (!loss->dropped_mass) return "lossy: drops gate mass that the trace does not tell";
  const bool in_bits = cuts_bits(demand);
  return fmt::format("lossy: {} {:.3g} % of the gate mass{}{}", in_bits ? "computes" : "drops",
                     100 * *loss->dropped_mass, in_bits ? " from upper slices" : "",
                     loss->perplexity_ratio ? fmt::format(", perplexity x {:.3g}", *loss->perplexity_ratio) : "");
}

}  // namespace moecarlo
