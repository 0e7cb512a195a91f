#include "host/study/demand.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "cuda/core/demand/demands.hpp"

namespace moecarlo {
namespace {

/// A number that the study does not state.
constexpr double kNotStated = -1;
constexpr const char* kChannelsOf = "channels ";

/// What a list, a word or a flag of the study adds to a label; nothing where it is what it is usually.
std::string label_part(const DemandParameter& parameter, double value, bool first) {
  switch (parameter.kind) {
    case DemandParameter::Kind::numbers:
    case DemandParameter::Kind::integers:
      if (value == kNotStated) return "";
      return first ? fmt::format("{}", value) : fmt::format("{} {}", parameter.key, value);
    case DemandParameter::Kind::word:
      return value == 0 ? "" : parameter.words[static_cast<std::size_t>(value)];
    case DemandParameter::Kind::flag:
      return value == 0 ? "" : parameter.key;
    case DemandParameter::Kind::file:
      return "";
  }
  return {};
}

std::string label_of(DemandRule rule, const std::vector<double>& values, double channels) {
  const std::span<const DemandParameter> parameters = parameters_of(rule);
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    std::string part = label_part(parameters[i], values[i], i == 0);
    if (!part.empty()) parts.push_back(std::move(part));
  }
  if (channels > 0) parts.push_back(fmt::format("{}{}", kChannelsOf, channels));
  return parts.empty() ? to_string(rule) : fmt::format("{}({})", to_string(rule), fmt::join(parts, ", "));
}

std::uint64_t as_integer(const DemandParameter& parameter, double value) {
  if (value == kNotStated) return ~std::uint64_t{0};
  return parameter.as_integer == nullptr ? static_cast<std::uint64_t>(value) : parameter.as_integer(value);
}

}  // namespace

std::span<const DemandParameter> parameters_of(DemandRule rule) {
  const std::span<const DemandParameter> all = with_demand(rule, [](auto one) {
    static_assert(std::size(decltype(one)::kParameters) <= kMostDemandParameters);
    return std::span<const DemandParameter>(decltype(one)::kParameters);
  });
  return all.front().key == nullptr ? std::span<const DemandParameter>{} : all;
}

const char* to_string(DemandRule rule) {
  return with_demand(rule, [](auto one) { return decltype(one)::kName; });
}

bool drops(DemandRule rule) {
  return with_demand(rule, [](auto one) { return decltype(one)::kDrops; });
}
bool reads_gates(DemandRule rule) {
  return with_demand(rule, [](auto one) { return decltype(one)::kReadsGates; });
}

bool drops(const Demand& demand) {
  return drops(demand.rule) || demand.channels > 0;
}
bool drops_channels(const DemandSpec& spec) {
  return spec.channels.back() > 0;
}

bool is_lossy(const std::string& label) {
  if (label.find(kChannelsOf) != std::string::npos) return true;
  const auto rule = demand_rule(rule_of_label(label));
  return !rule || drops(*rule);  // none: another version's
}

bool reads_entropy(DemandRule rule) {
  return with_demand(rule, [](auto one) { return decltype(one)::kReadsEntropy; });
}
bool reads_paths(DemandRule rule) {
  return with_demand(rule, [](auto one) { return decltype(one)::kReadsPaths; });
}
bool drafts_nearest(DemandRule rule) {
  return with_demand(rule, [](auto one) { return decltype(one)::kDraftsNearest; });
}
bool needs_slices(DemandRule rule) {
  return with_demand(rule, [](auto one) { return decltype(one)::kNeedsSlices; });
}
bool some_decide(DemandRule rule) {
  return with_demand(rule, [](auto one) { return decltype(one)::kSomeDecide; });
}
bool takes_one_list(DemandRule rule) {
  return with_demand(rule, [](auto one) { return decltype(one)::kOneList; });
}
Misfit misfit(const Demand& demand) {
  return with_demand(demand.rule, [&](auto one) { return decltype(one)::misfit(demand.numbers); });
}
bool looks_at_residents(const Demand& demand) {
  return DemandRules::read_residents(demand);
}
bool looks_at_residents(const DemandSpec& spec) {
  const std::vector<DemandPoint> points = demand_points(spec);
  return std::any_of(points.begin(), points.end(),
                     [](const DemandPoint& one) { return DemandRules::read_residents(one.demand); });
}

std::optional<DemandRule> demand_rule(std::string_view name) {
  for (const DemandRule rule : all_demand_rules()) {
    if (name == to_string(rule)) return rule;
  }
  return {};
}

std::string rule_of_label(const std::string& label) {
  return label.substr(0, label.find('('));
}

std::vector<DemandRule> all_demand_rules() {
  std::vector<DemandRule> rules;
  for (std::uint32_t i = 0; i < kDemands; ++i) rules.push_back(DemandRule{i});
  return rules;
}

std::vector<const DemandParameter*> demand_parameters() {
  std::vector<const DemandParameter*> all;
  for (const DemandRule rule : all_demand_rules()) {
    for (const DemandParameter& one : parameters_of(rule)) {
      const auto same = [&](const DemandParameter* other) { return std::string_view(other->key) == one.key; };
      if (std::none_of(all.begin(), all.end(), same)) all.push_back(&one);
    }
  }
  return all;
}

std::vector<DemandPoint> demand_points(const DemandSpec& spec) {
  std::vector<DemandPoint> points;
  for (const DemandRule rule : spec.rules) {
    const std::span<const DemandParameter> parameters = parameters_of(rule);
    std::vector<std::vector<double>> crossed{{}};
    for (const DemandParameter& parameter : parameters) {
      const auto stated = spec.stated.find(parameter.key);
      const std::vector<double> values =
          stated == spec.stated.end() ? std::vector<double>{parameter.is_list() ? kNotStated : 0} : stated->second;
      std::vector<std::vector<double>> longer;
      for (const std::vector<double>& before : crossed) {
        for (const double value : values) {
          longer.push_back(before);
          longer.back().push_back(value);
        }
      }
      crossed = std::move(longer);
    }
    for (const std::vector<double>& values : crossed) {
      std::uint32_t row = spec.channels.front() > 0 ? 1 : 0;  // of the thresholds that are not 0
      for (const double channels : spec.channels) {
        DemandPoint point{{rule, {}, row++}, label_of(rule, values, channels)};
        for (std::size_t i = 0; i < values.size(); ++i) {
          point.demand.numbers.of[i] = as_integer(parameters[i], values[i]);
        }
        points.push_back(std::move(point));
      }
    }
  }
  return points;
}

}  // namespace moecarlo
