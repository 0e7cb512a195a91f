#include "tests/shared/oracle_fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cuda/core/histogram/histograms.hpp"

namespace moecarlo::testing {
namespace {

using oracle::DraftCounts;
using oracle::LayerCounts;

/// Where the engine keeps the counts of a design point.
struct Fields {
  const Plan& plan_;
  const PointOf& of_;

  bool counts_mass() const { return !plan_.sources.gate_mass.empty() && plan_.sources.perturbed.logits.empty(); }

  std::function<std::uint64_t(std::size_t)> union_group(std::uint32_t index) const {
    return [&cell = *of_.cell, index](std::size_t g) { return cell.unions_by_group + g * cell.union_width() + index; };
  }
  std::function<std::uint64_t(std::size_t)> union_layer(std::uint32_t index) const {
    return [&cell = *of_.cell, index](std::size_t layer) {
      return cell.unions_by_layer + layer * cell.union_width() + index;
    };
  }
  std::function<std::uint64_t(std::size_t)> point_group(std::uint32_t index) const {
    const std::uint64_t first = of_.number * std::uint64_t{plan_.shape.groups.total()};
    return [&cell = *of_.cell, index, first](std::size_t g) {
      return cell.points_by_group + (first + g) * cell.point_width() + index;
    };
  }
  std::function<std::uint64_t(std::size_t)> point_layer(std::uint32_t index) const {
    const std::uint64_t first = of_.number * std::uint64_t{plan_.shape.layers};
    return [&cell = *of_.cell, index, first](std::size_t layer) {
      return cell.points_by_layer + (first + layer) * cell.point_width() + index;
    };
  }

  std::vector<Field> layer_fields() const {
    const auto number = [](std::int64_t LayerCounts::*member) {
      return [member](const LayerCounts& layer) { return static_cast<double>(layer.*member); };
    };
    const auto length = [](std::vector<std::int64_t> LayerCounts::*member, std::uint32_t index) {
      return [member, index](const LayerCounts& layer) { return static_cast<double>((layer.*member)[index]); };
    };
    const auto of_point = [&](const std::string& name, std::uint32_t index, const auto& of) {
      return Field{name, point_group(index), point_layer(index), of};
    };
    std::vector<Field> fields = {
        {"distinct", union_group(kDistinct), union_layer(kDistinct), number(&LayerCounts::distinct)},
        of_point("hits", kHits, number(&LayerCounts::hits)),
        of_point("writes", kCacheWrites, number(&LayerCounts::writes))};
    if (plan_.shape.slices > 1) {
      fields.push_back(of_point("upper hits", kUpperHits, number(&LayerCounts::upper_hits)));
    }
    for (std::uint32_t a = 0; a < of_.cell->slices; ++a) {
      fields.push_back({fmt::format("distinct of accepted columns {}", a), union_group(kDistinctAccepted + a),
                        union_layer(kDistinctAccepted + a), length(&LayerCounts::distinct_accepted, a)});
      fields.push_back(
          of_point(fmt::format("rejected only {}", a), kRejectedOnly + a, length(&LayerCounts::rejected_only, a)));
    }
    if (plan_.shape.asks) {
      const auto of_demand = [&](const std::string& name, std::uint32_t index, const auto& of) {
        const std::uint32_t column = of_.cell->first_demand_count() + index;
        const bool of_channels =
            !plan_.channel_thresholds.empty() && (index == kLoadedParts || index == kChannelMassDropped);
        const bool of_gates = index == kPairMassDropped || index == kPairMassUpper;
        const double rounding = index == kPairMass ? 1e-4 : of_gates || of_channels ? 1e-3 : 0;
        fields.push_back({name, union_group(column), union_layer(column), of, rounding});
      };
      of_demand("pairs", kPairs, number(&LayerCounts::pairs));
      of_demand("pairs kept", kPairsKept, number(&LayerCounts::pairs_kept));
      of_demand("gate mass of pairs", kPairMass, number(&LayerCounts::pair_mass));
      of_demand("gate mass dropped", kPairMassDropped, number(&LayerCounts::dropped));
      of_demand("upper distinct", kUpperDistinct, number(&LayerCounts::upper));
      of_demand("columns", kColumns, number(&LayerCounts::columns));
      of_demand("whole columns", kWholeColumns, number(&LayerCounts::whole_columns));
      of_demand("parts loaded", kLoadedParts, number(&LayerCounts::parts));
      of_demand("gate mass dropped with channels", kChannelMassDropped, number(&LayerCounts::channels_dropped));
      of_demand("channels wanted", kChannelsWanted, number(&LayerCounts::channels_wanted));
      of_demand("channels covered", kChannelsCovered, number(&LayerCounts::channels_covered));
      of_demand("pairs of upper slices", kPairsUpper, number(&LayerCounts::pairs_upper));
      of_demand("gate mass of upper slices", kPairMassUpper, number(&LayerCounts::upper_mass));
      if (plan_.walk != Walk::enumerate) {
        of_demand("dropped for small gates", kDroppedSmallGate, number(&LayerCounts::dropped_small));
        of_demand("dropped of rejected columns", kDroppedRejected, number(&LayerCounts::dropped_rejected));
        of_demand("redundant for small gates", kRedundantSmallGate, number(&LayerCounts::redundant_small));
        of_demand("redundant of rejected columns", kRedundantRejected, number(&LayerCounts::redundant_rejected));
      }
    }
    add_histograms(fields);
    return fields;
  }

  /// How often the oracle met each value of a histogram.
  static std::map<int, std::int64_t> met(TokensPerExpert, const LayerCounts& layer, bool of_point) {
    std::map<int, std::int64_t> values;
    for (const auto& [key, count] : layer.tokens) values[key.first] += key.second || !of_point ? count : 0;
    return values;
  }
  static std::map<int, std::int64_t> met(ResidentExperts, const LayerCounts& layer, bool) { return layer.residents; }
  static std::map<int, std::int64_t> met(DistinctByDepth, const LayerCounts& layer, bool) { return layer.by_depth; }
  static std::map<int, std::int64_t> met(PrefetchCounts, const LayerCounts& layer, bool) { return layer.prefetch; }
  static std::map<int, std::int64_t> met(PsumHighWater, const LayerCounts& layer, bool) { return layer.high_water; }
  static std::map<int, std::int64_t> met(PsumSpills, const LayerCounts& layer, bool) { return layer.spills; }
  static std::map<int, std::int64_t> met(SiblingsShared, const LayerCounts& layer, bool) { return layer.shared; }
  static std::map<int, std::int64_t> met(GateProducts, const LayerCounts& layer, bool) { return layer.products; }

  /// The sum of all values, then a number for each bin.
  void add_histograms(std::vector<Field>& fields) const {
    each_histogram(
        plan_.shape.histograms, *of_.cell, plan_.shape.experts, [&](auto one, const HistogramColumns& columns) {
          using Histogram = decltype(one);
          const int least = static_cast<int>(Histogram::kLeast), bins = static_cast<int>(columns.bins);
          for (const bool of_point : {false, true}) {
            if (!(of_point ? Histogram::kOfPoint : Histogram::kOfUnion)) continue;
            for (int column = 0; column <= bins; ++column) {
              const auto sum = [=](const LayerCounts& layer) {
                double all = 0;
                for (const auto& [value, count] : met(Histogram{}, layer, of_point)) {
                  const bool here = std::min(value - least, bins - 1) == column - 1;
                  all += static_cast<double>(count) * (column == 0 ? value : here ? 1 : 0);
                }
                return all;
              };
              const auto at = (of_point ? columns.of_point : columns.of_union) + static_cast<std::uint32_t>(column);
              fields.push_back(
                  {fmt::format("{} of {}, column {}", Histogram::kName, of_point ? "a point" : "all", column),
                   of_point ? point_group(at) : union_group(at), of_point ? point_layer(at) : union_layer(at), sum});
            }
          }
        });
  }

  std::vector<DraftField> draft_fields() const {
    if (of_.cell->depth == 0) return {};
    const auto number = [](std::int64_t DraftCounts::*member) {
      return [member](const DraftCounts& step) { return static_cast<double>(step.*member); };
    };
    std::vector<DraftField> fields = {{"draft choices", union_group(kDraftChoices), number(&DraftCounts::choices)},
                                      {"draft hits", point_group(kDraftHits), number(&DraftCounts::hits)}};
    if (!counts_mass()) return fields;
    fields.push_back({"draft mass", union_group(kDraftMass), number(&DraftCounts::mass), true});
    fields.push_back({"resident mass", point_group(kResidentMass), number(&DraftCounts::resident_mass), true});
    return fields;
  }
};

}  // namespace

std::vector<Field> layer_fields(const Plan& plan, const PointOf& of) {
  return Fields{plan, of}.layer_fields();
}

std::vector<DraftField> draft_fields(const Plan& plan, const PointOf& of) {
  return Fields{plan, of}.draft_fields();
}

}  // namespace moecarlo::testing
