#include "host/statistics/metric_table.hpp"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <stdexcept>

namespace moecarlo {
namespace {

using Counts = MetricCounts;
using Holds = Certainties;
using Prefetch = PrefetchCounts;

double requests(const Counts& counts) {
  return counts.rounds * counts.cell.batch;
}
double passes(const Counts& counts) {
  return counts.rounds * counts.layers;
}
double distinct(const Counts& counts) {
  return counts.of_union(kDistinct);
}
/// Of upper or lower slices: a pass needs both of an expert, but for a demand rule that says otherwise.
double distinct_upper(const Counts& counts) {
  return counts.cell.demand_counts > 0 ? counts.of_demand(kUpperDistinct) : distinct(counts) / 2;
}
double distinct_lower(const Counts& counts) {
  return distinct(counts) - distinct_upper(counts);
}
double hits(const Counts& counts) {
  return counts.of_point(kHits);
}
double lower_hits(const Counts& counts) {
  return hits(counts) - counts.of_point(kUpperHits);
}
double misses(const Counts& counts) {
  return distinct(counts) - hits(counts);
}
double tokens_of_all(const Counts& counts) {
  return counts.sum_of_union<TokensPerExpert>();
}
double tokens_of_hits(const Counts& counts) {
  return counts.sum_of_point<TokensPerExpert>();
}
bool never(const Holds&) {
  return false;
}
bool lengths_hold(const Holds& holds) {
  return holds.lengths;
}
bool distinct_holds(const Holds& holds) {
  return holds.distinct;
}
bool hit_rate_holds(const Holds& holds) {
  return holds.hit_rate();
}

constexpr bool kLayer = true, kRequest = false;
constexpr HistogramSet kTokens = set_of<TokensPerExpert>();
constexpr const char* kPerRequest = "requests x rounds";
constexpr const char* kPerPass = "layers x verification passes";

const Metric kTable[] = {
    {"tokens_per_round",
     kRequest,
     Where::everywhere,
     lengths_hold,
     [](const Counts& counts) { return counts.tokens(1); },
     requests,
     {"tokens", "tokens that a round adds to a request: the accepted ones and one more", kPerRequest}},
    {"accepted_length",
     kRequest,
     Where::everywhere,
     lengths_hold,
     [](const Counts& counts) { return counts.tokens(0); },
     requests,
     {"tokens", "draft tokens that are accepted", kPerRequest}},
    {"distinct_experts",
     kLayer,
     Where::everywhere,
     distinct_holds,
     distinct,
     passes,
     {"experts", "different experts that a verification pass touches in a layer", kPerPass}},
    {"distinct_experts_accepted",
     kLayer,
     Where::everywhere,
     distinct_holds,
     [](const Counts& counts) { return counts.distinct_accepted(); },
     passes,
     {"experts", "different experts that the columns touch which are kept", kPerPass}},
    {"hits",
     kLayer,
     Where::everywhere,
     [](const Holds& holds) { return holds.none_resident || (holds.all_resident && holds.distinct); },
     hits,
     passes,
     {"experts", "distinct experts that are resident when the pass asks for them", kPerPass}},
    {"misses",
     kLayer,
     Where::everywhere,
     [](const Holds& holds) { return holds.all_resident || (holds.none_resident && holds.distinct); },
     misses,
     passes,
     {"experts", "distinct experts that are not resident", kPerPass}},
    {"hit_rate",
     kLayer,
     Where::everywhere,
     hit_rate_holds,
     hits,
     distinct,
     {"share", "distinct experts that are resident", "distinct experts"}},
    {"rejected_only",
     kLayer,
     Where::everywhere,
     [](const Holds& holds) { return holds.rejected_only(); },
     [](const Counts& counts) { return counts.rejected_only(); },
     passes,
     {"experts", "misses that only rejected columns asked for", kPerPass}},
    {"draft_coverage",
     kLayer,
     Where::with_choices,
     hit_rate_holds,
     [](const Counts& counts) { return counts.of_point(kDraftHits); },
     [](const Counts& counts) { return counts.of_union(kDraftChoices); },
     {"share", "experts that draft tokens choose and that are resident", "experts that draft tokens choose"}},
    {"draft_coverage_mass",
     kLayer,
     Where::with_masses,
     hit_rate_holds,
     [](const Counts& counts) { return counts.of_point(kResidentMass); },
     [](const Counts& counts) { return counts.of_union(kDraftMass); },
     {"share", "gate mass that draft tokens give to experts that are resident", "their gate mass in all"}},
    {"upper_hit_rate",
     kLayer,
     Where::with_slices,
     hit_rate_holds,
     [](const Counts& counts) { return counts.of_point(kUpperHits); },
     distinct_upper,
     {"share", "distinct experts whose upper slice is resident", "distinct experts"}},
    {"lower_hit_rate",
     kLayer,
     Where::with_slices,
     hit_rate_holds,
     lower_hits,
     distinct_lower,
     {"share", "distinct experts whose lower slice is resident", "distinct experts"}},
    {"lower_hits",
     kLayer,
     Where::with_slices,
     never,
     lower_hits,
     passes,
     {"slices", "lower slices that are asked for and resident", kPerPass}},
    {"lower_misses",
     kLayer,
     Where::with_slices,
     never,
     [](const Counts& counts) { return distinct_lower(counts) - lower_hits(counts); },
     passes,
     {"slices", "lower slices that are asked for and not resident", kPerPass}},
    {"upper_mass",
     kLayer,
     Where::with_upper_mass,
     [](const Holds& holds) { return holds.nothing_dropped; },
     [](const Counts& counts) { return counts.of_demand(kPairMassUpper); },
     [](const Counts& counts) { return counts.of_demand(kPairMass); },
     {"share", "gate mass of chosen experts of which a column uses the upper slice alone, rejected columns included",
      "gate mass of all that the router chose"}},
    {"near_hits",
     kLayer,
     Where::with_nested,
     never,
     [](const Counts& counts) { return counts.of_near(kHits); },
     passes,
     {"experts", "distinct experts that are resident in the smaller one of two nested caches", kPerPass}},
    {"far_hits",
     kLayer,
     Where::with_nested,
     never,
     [](const Counts& counts) { return hits(counts) - counts.of_near(kHits); },
     passes,
     {"experts", "distinct experts that are resident in the larger one alone", kPerPass}},
    {"cache_writes",
     kLayer,
     Where::everywhere,
     [](const Holds& holds) { return holds.no_writes; },
     [](const Counts& counts) { return counts.of_point(kCacheWrites); },
     passes,
     {"experts", "experts that are written into the cache", kPerPass}},
    {"demands",
     kLayer,
     Where::with_demands,
     never,
     [](const Counts& counts) { return counts.of_demand(kPairs); },
     passes,
     {"pairs", "pairs of a verified column and an expert that the router chose for it", kPerPass}},
    {"demands_kept",
     kLayer,
     Where::with_demands,
     never,
     [](const Counts& counts) { return counts.of_demand(kPairsKept); },
     passes,
     {"pairs", "those of them that the demand rule keeps", kPerPass}},
    {"dropped_mass",
     kLayer,
     Where::with_demand_masses,
     [](const Holds& holds) { return holds.nothing_dropped; },
     [](const Counts& counts) { return counts.of_demand(kPairMassDropped); },
     [](const Counts& counts) { return counts.of_demand(kPairMass); },
     {"share", "gate mass of chosen experts that the demand rule drops, rejected columns included",
      "gate mass of all that the router chose"}},
    {"fallback_rate",
     kLayer,
     Where::with_demands,
     [](const Holds& holds) { return holds.nothing_dropped; },
     [](const Counts& counts) { return counts.of_demand(kWholeColumns); },
     [](const Counts& counts) { return counts.of_demand(kColumns); },
     {"share", "verified columns that keep all experts that the router chose", "verified columns"}},
    {"expert_equivalents",
     kLayer,
     Where::with_demands,
     [](const Holds& holds) { return holds.distinct && holds.all_channels; },
     [](const Counts& counts) { return counts.of_demand(kLoadedParts) / kPartsOfExpert; },
     passes,
     {"experts", "weights that a verification pass asks for, in units of one expert's", kPerPass}},
    {"dropped_channel_mass",
     kLayer,
     Where::with_channels,
     [](const Holds& holds) { return holds.all_channels; },
     [](const Counts& counts) { return counts.of_demand(kChannelMassDropped); },
     [](const Counts& counts) { return counts.of_demand(kPairMass); },
     {"share",
      "gate mass of experts that are used, as their tokens' input magnitudes lie in channels that are not loaded",
      "gate mass of all that the router chose"}},
    {"channel_recall",
     kLayer,
     Where::with_deciders,
     never,
     [](const Counts& counts) { return counts.of_demand(kChannelsCovered); },
     [](const Counts& counts) { return counts.of_demand(kChannelsWanted); },
     {"share", "channels that are loaded, of those that siblings without a say would have loaded of experts they use",
      "channels that they would have loaded"}},
    {"dropped_small_gate",
     kLayer,
     Where::with_causes,
     [](const Holds& holds) { return holds.nothing_dropped; },
     [](const Counts& counts) { return counts.of_demand(kDroppedSmallGate); },
     passes,
     {"experts", "experts that accepted columns chose, and that are not asked for, as their gates are small",
      kPerPass}},
    {"dropped_rejected",
     kLayer,
     Where::with_causes,
     [](const Holds& holds) { return holds.nothing_dropped; },
     [](const Counts& counts) { return counts.of_demand(kDroppedRejected); },
     passes,
     {"experts", "experts that rejected columns alone chose, and that are not asked for", kPerPass}},
    {"redundant_small_gate",
     kLayer,
     Where::with_causes,
     [](const Holds& holds) { return holds.nothing_dropped; },
     [](const Counts& counts) { return counts.of_demand(kRedundantSmallGate); },
     passes,
     {"experts", "experts that rejected columns alone use, though accepted ones chose them, with small gates",
      kPerPass}},
    {"redundant_rejected",
     kLayer,
     Where::with_causes,
     never,
     [](const Counts& counts) { return counts.of_demand(kRedundantRejected); },
     passes,
     {"experts", "experts that are asked for, and that rejected columns alone chose", kPerPass}},
    {"tokens_per_expert",
     kLayer,
     Where::everywhere,
     distinct_holds,
     tokens_of_all,
     distinct,
     {"tokens", "verified columns of a pass that use an expert", "distinct experts"},
     kTokens},
    {"tokens_per_expert_hit",
     kLayer,
     Where::everywhere,
     never,
     tokens_of_hits,
     hits,
     {"tokens", "verified columns of a pass that use a resident expert", "distinct experts that are resident"},
     kTokens},
    {"tokens_per_expert_miss",
     kLayer,
     Where::everywhere,
     never,
     [](const Counts& counts) { return tokens_of_all(counts) - tokens_of_hits(counts); },
     misses,
     {"tokens", "verified columns of a pass that use an absent expert", "distinct experts that are not resident"},
     kTokens},
    {"resident_experts",
     kLayer,
     Where::everywhere,
     hit_rate_holds,
     [](const Counts& counts) { return counts.sum_of_point<ResidentExperts>(); },
     passes,
     {"experts", "experts that are resident when a pass begins", kPerPass},
     set_of<ResidentExperts>()},
    {"distinct_by_depth",
     kLayer,
     Where::everywhere,
     [](const Holds& holds) { return holds.by_depth; },
     [](const Counts& counts) { return counts.bin_of_union<DistinctByDepth>(counts.level); },
     passes,
     {"experts", "different experts that the columns of one depth of the draft use: `distinct_by_depth.DEPTH`",
      kPerPass},
     set_of<DistinctByDepth>(),
     MetricLevels::by_depth},
    {"siblings_shared",
     kLayer,
     Where::with_siblings,
     never,
     [](const Counts& counts) { return counts.sum_of_union<SiblingsShared>(); },
     [](const Counts& counts) { return counts.count_of_union<SiblingsShared>(); },
     {"experts", "experts that both of two columns of a request use which stand at one depth of a draft tree",
      "such pairs of verified columns"},
     set_of<SiblingsShared>()},
    {"psum_high_water",
     kLayer,
     Where::everywhere,
     never,
     [](const Counts& counts) { return counts.sum_of_union<PsumHighWater>(); },
     passes,
     {"partial sums", "of a prefill: partial sums of a chunk that are open at a time, at most", "layers x chunks"},
     set_of<PsumHighWater>()},
    {"psum_spills",
     kLayer,
     Where::everywhere,
     never,
     [](const Counts& counts) { return counts.sum_of_union<PsumSpills>(); },
     passes,
     {"partial sums", "of a prefill: partial sums that have no slot, each of which is written and read back once",
      "layers x chunks"},
     set_of<PsumSpills>()},
    {"prefetch_useful",
     kLayer,
     Where::everywhere,
     never,
     [](const Counts& counts) { return counts.of_prefetch(Prefetch::kUseful); },
     passes,
     {"experts", "absent experts that are foreseen so many layers before, and used: `prefetch_useful.LAYERS`",
      kPerPass},
     set_of<Prefetch>(),
     MetricLevels::by_lead},
    {"prefetch_wasted",
     kLayer,
     Where::everywhere,
     never,
     [](const Counts& counts) { return counts.of_prefetch(Prefetch::kWasted); },
     passes,
     {"experts", "absent experts that are foreseen and not used: `prefetch_wasted.LAYERS`", kPerPass},
     set_of<Prefetch>(),
     MetricLevels::by_lead},
    {"prefetch_displaced",
     kLayer,
     Where::everywhere,
     never,
     [](const Counts& counts) { return counts.of_prefetch(Prefetch::kDisplaced); },
     passes,
     {"experts", "residents that would make room for these: `prefetch_displaced.LAYERS`", kPerPass},
     set_of<Prefetch>(),
     MetricLevels::by_lead},
    {"prefetch_recall",
     kLayer,
     Where::everywhere,
     never,
     [](const Counts& counts) { return counts.of_prefetch(Prefetch::kUseful); },
     [](const Counts& counts) { return counts.of_prefetch(Prefetch::kUseful) + counts.of_prefetch(Prefetch::kMissed); },
     {"share", "misses that are foreseen: `prefetch_recall.LAYERS`", "misses of layers with so many before them"},
     set_of<Prefetch>(),
     MetricLevels::by_lead},
    {"prefetch_precision",
     kLayer,
     Where::everywhere,
     never,
     [](const Counts& counts) { return counts.of_prefetch(Prefetch::kUseful); },
     [](const Counts& counts) { return counts.of_prefetch(Prefetch::kUseful) + counts.of_prefetch(Prefetch::kWasted); },
     {"share", "absent experts that are foreseen and then used: `prefetch_precision.LAYERS`",
      "absent experts that are foreseen"},
     set_of<Prefetch>(),
     MetricLevels::by_lead},
};

}  // namespace

double MetricCounts::tokens(double bonus) const {
  double tokens = 0;
  for (std::size_t a = 0; a <= cell.depth; ++a) {
    const double requests = law != nullptr ? (*law)[a] * rounds : static_cast<double>(accepted[a]);
    tokens += (static_cast<double>(a) + bonus) * requests;
  }
  return tokens;
}

/// Counts kept for each accepted length are weighted with its probability.
double MetricCounts::expected(const std::uint64_t* slices) const {
  if (law == nullptr) return static_cast<double>(slices[0]);
  double sum = 0;
  for (std::size_t a = 0; a < law->size(); ++a) sum += (*law)[a] * static_cast<double>(slices[a]);
  return sum;
}

std::span<const Metric> metric_table() {
  return kTable;
}

std::string Metric::name_at(std::uint32_t level) const {
  return levels != MetricLevels::none ? std::string(name) + "." + std::to_string(level) : name;
}

std::vector<std::uint32_t> Metric::levels_at(std::uint32_t depth, const std::vector<std::uint32_t>& leads) const {
  if (levels == MetricLevels::by_lead) return leads;
  std::vector<std::uint32_t> all(levels == MetricLevels::by_depth ? depth + 1 : 1);
  std::iota(all.begin(), all.end(), 0U);
  return all;
}

double MetricCounts::of_prefetch(PrefetchCounts::Kind kind) const {
  const auto lead = std::find(shape.leads.begin(), shape.leads.end(), level) - shape.leads.begin();
  const std::uint32_t bin = kind * cell.leads + static_cast<std::uint32_t>(lead);
  return static_cast<double>(point[columns_of<PrefetchCounts>().of_point + 1 + bin]);
}

NamedMetric metric_named(std::string_view name) {
  const std::string_view stem = name.substr(0, name.find('.'));
  const auto found =
      std::find_if(std::begin(kTable), std::end(kTable), [&](const Metric& one) { return one.name == stem; });
  std::uint32_t level = 0;
  const char* const last = name.data() + name.size();
  const bool whole = stem.size() == name.size();
  const bool numbered = !whole && std::from_chars(stem.data() + stem.size() + 1, last, level).ptr == last;
  if (found == std::end(kTable) || !(found->levels != MetricLevels::none ? numbered : whole)) {
    throw std::out_of_range("no metric is named " + std::string(name));
  }
  return {*found, level};
}

}  // namespace moecarlo
