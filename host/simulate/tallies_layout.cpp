#include "host/simulate/tallies_layout.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace moecarlo {

const Names<Walk>& walk_names() {
  static const Names<Walk> names = {{"episodes", Walk::episodes},
                                    {"samples", Walk::samples},
                                    {"enumerate", Walk::enumerate},
                                    {"replay", Walk::replay}};
  return names;
}

const Names<Acceptance>& acceptance_rule_names() {
  static const Names<Acceptance> names = {{"by_position", Acceptance::by_position},
                                          {"by_token", Acceptance::by_token},
                                          {"proposals", Acceptance::proposals},
                                          {"by_coverage", Acceptance::by_coverage}};
  return names;
}

std::string names_of(std::span<const CountInfo> counts) {
  std::vector<std::string_view> names;
  for (const CountInfo& count : counts) names.push_back(count.name);
  return fmt::format("{}", fmt::join(names, " "));
}

std::string names_of(HistogramSet histograms) {
  std::vector<std::string_view> names;
  for (const auto& [name, place] : histogram_names()) {
    if ((histograms >> place & 1U) != 0) names.push_back(name);
  }
  return fmt::format("{}", fmt::join(names, " "));
}

std::vector<Block> blocks_of(const TallyShape& shape, const TallyLayout& layout, std::size_t index) {
  const Cell& cell = layout.cells[index];
  const std::uint64_t policies = cell.policy_count;
  const std::uint64_t groups = shape.groups.total();
  const std::uint64_t capacities = cell.capacity_count;
  return {{"rounds", cell.rounds, {groups}},
          {"accepted_length", cell.accepted, {groups, cell.depth + std::uint64_t{1}}},
          {"drafted", cell.drafted, {groups}},
          {"distinct_histogram", cell.distinct, {shape.layers, shape.experts + std::uint64_t{1}}},
          {"unions_by_layer", cell.unions_by_layer, {shape.layers, cell.union_width()}},
          {"unions_by_group", cell.unions_by_group, {groups, cell.union_width()}},
          {"points_by_layer", cell.points_by_layer, {policies, capacities, shape.layers, cell.point_width()}},
          {"points_by_group", cell.points_by_group, {policies, capacities, groups, cell.point_width()}}};
}

std::string cell_name(std::size_t index) {
  return fmt::format("cell_{:04}", index);
}

}  // namespace moecarlo
