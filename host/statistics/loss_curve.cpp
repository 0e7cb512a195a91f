#include "host/statistics/loss_curve.hpp"

#include <algorithm>
#include <cctype>

namespace moecarlo {

std::string rule_family(const std::string& demand) {
  std::string family;
  const auto is_number = [](char letter) {
    return std::isdigit(static_cast<unsigned char>(letter)) != 0 ||
           std::string("+-.e").find(letter) != std::string::npos;
  };
  for (std::size_t i = 0; i < demand.size();) {
    const bool begins = i == 0 || std::string("( ").find(demand[i - 1]) != std::string::npos;
    if (begins && std::isdigit(static_cast<unsigned char>(demand[i])) != 0) {
      while (i < demand.size() && is_number(demand[i])) ++i;
      while (i < demand.size() && std::string(", ").find(demand[i]) != std::string::npos) ++i;
    } else {
      family += demand[i++];
    }
  }
  if (const std::size_t empty = family.find("()"); empty != std::string::npos) family.erase(empty, 2);
  return family;
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
