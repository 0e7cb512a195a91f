#include "host/statistics/loss_curve.hpp"

#include <algorithm>
#include <cctype>

namespace moecarlo {

std::string rule_family(const std::string& demand) {
  const std::size_t open = demand.find('(');
  if (open == std::string::npos) return demand;
  std::string words;
  for (std::size_t first = open + 1; first < demand.size();) {
    const std::size_t end = demand.find_first_of(",)", first);
    const std::string part = demand.substr(first, end - first);  // "0.05", "unimportant 0.5", "token", "channels 0.1"
    const bool is_number = std::isdigit(static_cast<unsigned char>(part[part.rfind(' ') + 1])) != 0;
    const std::string word = part.starts_with("channels ") ? "channels" : is_number ? "" : part;
    if (!word.empty()) words += (words.empty() ? "" : ", ") + word;
    first = demand.find_first_not_of(", )", end);
  }
  const std::string rule = demand.substr(0, open);
  return words.empty() ? rule : rule + "(" + words + ")";
}

std::optional<MeasuredLoss> LossCurve::at(const std::string& demand, double dropped_mass) const {
  const std::string family = rule_family(demand);
  const MeasuredLoss *below = nullptr, *above = nullptr;
  bool is_measured = false;
  for (const MeasuredLoss& one : rules) {
    const bool own = rule_family(one.demand) == family;
    is_measured |= own;
    if (!own && one.demand != "all") continue;
    if (one.dropped_mass <= dropped_mass && (below == nullptr || one.dropped_mass > below->dropped_mass)) below = &one;
    if (one.dropped_mass >= dropped_mass && (above == nullptr || one.dropped_mass < above->dropped_mass)) above = &one;
  }
  if (!is_measured || below == nullptr || above == nullptr) return std::nullopt;
  MeasuredLoss between = *below;
  between.demand = demand;
  const double way = above->dropped_mass - below->dropped_mass;
  const double share = way > 0 ? (dropped_mass - below->dropped_mass) / way : 0;
  for (const auto& [name, number] : MeasuredLoss::kNumbers) {
    between.*number += share * (above->*number - below->*number);
  }
  return between;
}

}  // namespace moecarlo
