#include "host/simulate/plan.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <utility>

#include "cuda/core/histogram/histograms.hpp"
#include "cuda/core/policy/list_caches.hpp"
#include "host/simulate/demand_calibration.hpp"
#include "host/simulate/partners.hpp"
#include "host/simulate/plan_limits.hpp"
#include "host/simulate/replay_path.hpp"
#include "host/simulate/shared_starts.hpp"
#include "host/simulate/start_tables.hpp"
#include "host/study/acceptance.hpp"
#include "host/study/names.hpp"
#include "host/support/error.hpp"

namespace moecarlo {
namespace {

constexpr double kOutOfReach = 4294967296.0;  // of a gate times a stored magnitude
constexpr double kShare = 65536.0;            // a share as an integer
constexpr std::uint8_t kMostDepth = 255;      // of any draft
constexpr double kLeastSubset = 16;           // sequences of a replicate: enough for its figures to be those of a trace
constexpr double kSlack = 1.1;                // more of them than keep a batch apart, where some are too short

/// Experts that a draft can use: each expert's upper slice, where slices are cached.
std::uint32_t drafting_experts(const RoutingTable& table) {
  return table.experts / table.slices;
}

/// Integer weights for drawing replacements while drafting: calibration popularity scaled to 1 .. 65535 in each layer,
/// so that the sum over 1,024 experts stays within 32 bits.
std::vector<std::uint32_t> draft_weights(const RoutingTable& table) {
  const std::uint32_t experts = drafting_experts(table);
  std::vector<std::uint32_t> weights(table.popularity.size());
  for (std::uint32_t layer = 0; layer < table.layers; ++layer) {
    const auto* counts = &table.popularity[std::size_t{layer} * experts];
    const std::uint64_t most = std::max<std::uint64_t>(1, *std::max_element(counts, counts + experts));
    for (std::uint32_t e = 0; e < experts; ++e) {
      const std::uint64_t scaled = std::uint64_t{counts[e]} * 65535 / most;
      weights[std::size_t{layer} * experts + e] = static_cast<std::uint32_t>(std::max<std::uint64_t>(1, scaled));
    }
  }
  return weights;
}

/// All objects of all layers by popularity: upper slices before lower ones, ties to the lower layer, then the lower
/// bit.
std::vector<std::uint32_t> pool_order(const RoutingTable& table) {
  const std::uint32_t experts = drafting_experts(table);
  const std::uint32_t stride = 64U * static_cast<std::uint32_t>(table.words);
  std::vector<std::uint32_t> order;
  for (std::uint32_t layer = 0; layer < table.layers; ++layer) {
    for (std::uint32_t bit = 0; bit < table.experts; ++bit) order.push_back(layer * stride + bit);
  }
  const auto popularity = [&](std::uint32_t object) {
    return table.popularity[std::size_t{object / stride} * experts + object % stride % experts];
  };
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    const bool lower_a = a % stride >= experts, lower_b = b % stride >= experts;
    return lower_a != lower_b ? lower_b : popularity(a) > popularity(b);
  });
  return order;
}

Walk walk_of(const Study& study) {
  if (study.mode == Mode::exhaustive) return Walk::enumerate;
  if (study.mode == Mode::replay) return Walk::replay;
  return shares_starts(study) ? Walk::samples : Walk::episodes;
}

Threshold threshold_of(double probability) {
  return static_cast<Threshold>(std::llround(std::clamp(probability, 0.0, 1.0) * 4294967296.0));
}

double cache_fraction(const Capacity& capacity, const RoutingTable& table) {
  return capacity.mean(table.layers) / table.experts;
}

/// A table of captured acceptance for a capacity and number of bits; its number.
std::uint32_t add_token_thresholds(Plan& plan, const GridCell& cell, const RoutingTable& table) {
  const double fraction = cache_fraction(cell.capacities.front(), table);
  for (const float probability : acceptance_at(*plan.sources.captured, fraction, cell.bits)) {
    plan.token_thresholds.push_back(threshold_of(probability));
  }
  return static_cast<std::uint32_t>(plan.token_thresholds.size() / table.tokens - 1);
}

AcceptanceRule rule_of(Plan& plan, const Study& study, const GridCell& cell, const RoutingTable& table) {
  if (cell.depth == 0) return {};
  const Acceptance rule = rule_of(study.acceptance.model);
  const std::uint32_t captured = rule == Acceptance::by_token ? add_token_thresholds(plan, cell, table) : 0;
  return {rule, captured, cell.independent};
}

std::vector<Threshold> coverage_thresholds(const CoverageLaw& law) {
  std::vector<Threshold> thresholds;
  for (std::uint32_t step = 0; step <= kCoverageSteps; ++step) {
    const double coverage = (std::min(step, kCoverageSteps - 1) + 0.5) / kCoverageSteps;  // the middle of the step
    thresholds.push_back(threshold_of(1 / (1 + std::exp(-(law.b0 + law.b1 * coverage)))));
  }
  return thresholds;
}

/// Path probabilities by depth, where they do not follow acceptance.
std::vector<std::uint16_t> confidences_of(const DemandSpec& demand, std::uint32_t deepest) {
  if (demand.path == PathProbability::one) return std::vector<std::uint16_t>(deepest + 1, kGateOne);
  std::vector<std::uint16_t> confidences;
  for (const double of_one : demand.confidences) {
    confidences.push_back(static_cast<std::uint16_t>(std::llround(of_one * kGateOne)));
  }
  return confidences;
}

/// What a gate p adds to the entropy of its column over that of k equal gates, -p log p / log k, of kGateOne.
std::vector<std::uint32_t> entropy_terms(std::uint32_t choices) {
  std::vector<std::uint32_t> terms(kGateOne + 1, 0);
  for (std::uint32_t gate = 1; gate < kGateOne && choices > 1; ++gate) {
    const double share = gate / static_cast<double>(kGateOne);
    terms[gate] = static_cast<std::uint32_t>(std::llround(-share * std::log(share) / std::log(choices) * kGateOne));
  }
  return terms;
}

/// Of a demand that loads a channel iff g |x| reaches `least`: the same of stored magnitudes, in each layer.
void add_channel_thresholds(Plan& plan, double least) {
  for (const float scale : plan.sources.magnitudes.scale) {
    const double products = std::ceil(least * kGateOne / scale);
    plan.channel_thresholds.push_back(static_cast<std::uint64_t>(std::min(products, kOutOfReach)));
  }
}

/// What the demand rules of a study read besides the trace.
void add_demand_tables(Plan& plan, const DemandSpec& demand, const Grid& grid, const RoutingTable& table) {
  plan.confidences = confidences_of(demand, grid.cells.back().depth);
  for (const double least : demand.channels) {
    if (least > 0) add_channel_thresholds(plan, least);
  }
  for (const float probability : plan.sources.draft_probability) {
    plan.draft_thresholds.push_back(threshold_of(probability));
  }
  if (std::any_of(demand.rules.begin(), demand.rules.end(), reads_entropy)) {
    plan.entropy_terms = entropy_terms(table.top_k / table.slices);
  }
}

/// What foresees what layers ask for.
void add_prefetch(Plan& plan, const PrefetchSpec& spec, const RoutingTable& table) {
  plan.prefetch.predictor = spec.predictor;
  plan.prefetch.lead_count = static_cast<std::uint32_t>(spec.leads.size());
  std::copy(spec.leads.begin(), spec.leads.end(), plan.prefetch.leads);
  const bool meets = with_predictor(spec.predictor, [](auto predictor) { return decltype(predictor)::kHasPartners; });
  plan.prefetch.experts = std::min(spec.experts.value_or(meets ? 1 : table.top_k), table.experts);
  if (spec.leads.back() >= table.layers) {
    fail(ErrorKind::usage, "study: prefetch.layers has none so far ahead (expected less than the trace's {}, found {})",
         table.layers, spec.leads.back());
  }
  if (meets) plan.partners = most_met_partners(table, spec.leads, plan.prefetch.experts);
}

/// Chooses the walk, and which cells stand apart from one that shares starts. Where all would, it is one of episodes.
std::vector<bool> choose_walk(Plan& plan, const Study& study, const Grid& grid, const RoutingTable& table) {
  plan.walk = walk_of(study);
  if (plan.walk != Walk::samples) return std::vector<bool>(grid.cells.size(), false);
  std::vector<bool> apart = cells_better_apart(grid, table);
  if (std::find(apart.begin(), apart.end(), false) != apart.end()) return apart;
  plan.walk = Walk::episodes;
  return std::vector<bool>(grid.cells.size(), false);
}

/// Sequences that have starts at every depth.
std::uint32_t eligible_sequences(const Grid& grid, const RoutingTable& table) {
  std::uint32_t deepest = 0, eligible = 0;
  for (const GridCell& cell : grid.cells) deepest = std::max(deepest, cell.depth);
  for (const std::uint32_t s : table.split.evaluation) eligible += table.sequences[s].length > deepest ? 1 : 0;
  return eligible;
}

/// How many sequences a replicate has: as few as keep the requests of the largest batch apart as all sequences do, so
/// that replicates differ by far more than their noise. 0 where that is more than half of them.
std::uint32_t subset_of(const Grid& grid, const RoutingTable& table) {
  const auto sequences = static_cast<double>(table.split.evaluation.size());
  const double share = eligible_sequences(grid, table) / sequences;  // of them in a subset, give or take
  const double apart = 2 * grid.cells.back().batch * (share < 1 ? kSlack : 1);
  const double subset = std::ceil(std::max(kLeastSubset, apart) / share);
  return subset <= sequences / 2 ? static_cast<std::uint32_t>(subset) : 0;
}

/// Into how many populations with sequences of their own, each with starts at every depth, the trace divides: a
/// multiple of the joint histograms' replicates where there are that many; 0 where there are too few.
std::uint32_t parts_of(const Grid& grid, const RoutingTable& table) {
  const std::uint32_t eligible = eligible_sequences(grid, table);
  if (eligible < kFewestSequences) return 0;
  return eligible < kJointGroups ? eligible : std::min(eligible / kJointGroups * kJointGroups, kReplicates);
}

LayerRanges layer_ranges(const Study& study, const RoutingTable& table) {
  LayerRanges ranges;
  for (const std::uint32_t first : study.layer_ranges) {
    if (first >= table.layers) {
      fail(ErrorKind::usage,
           "study: study.layer_ranges has no such layer (expected less than the trace's {}, found {})", table.layers,
           first);
    }
    ranges.first[ranges.count++] = first;
  }
  return ranges;
}

TallyShape make_shape(Plan& plan, const Study& study, const Grid& grid, const RoutingTable& table,
                      const std::vector<bool>& apart) {
  TallyShape shape;
  shape.walk = plan.walk;
  shape.layers = table.layers;
  shape.experts = table.experts;
  shape.top_k = table.top_k;
  shape.zero_experts = table.info.zero_experts;
  shape.slices = table.slices;
  shape.scope = study.cache.scope;
  shape.warm = study.start == Start::warm;
  shape.histograms = study.histograms;
  shape.ranges = layer_ranges(study, table);
  shape.asks = study.demand.has_value();
  if (study.prefetch) {
    shape.histograms |= set_of<PrefetchCounts>();
    shape.leads = study.prefetch->leads;
  }
  const auto sequences = static_cast<std::uint32_t>(table.split.evaluation.size());
  shape.sequences = sequences;
  if (plan.sources.mixed) {
    shape.groups = shape.joint_groups = {kGroups, 0, 0};
  } else if (plan.walk == Walk::enumerate || plan.walk == Walk::replay) {
    shape.groups = {std::min(sequences, kSequenceGroups), 0, 0};
    shape.joint_groups = {std::min(sequences, kGroups), 0, 0};
  } else {
    // A round of one request that remembers nothing meets one sequence: the trace can be divided.
    const bool divides = shares_starts(study) && grid.cells.back().batch == 1;
    const std::uint32_t parts = divides ? parts_of(grid, table) : 0;
    const std::uint32_t populations = parts > 0 ? parts : sequences >= kFewestSequences ? kReplicates : 0;
    shape.groups = {kGroups, populations, populations};
    shape.joint_groups = {kJointGroups, std::min(populations, kJointGroups), populations};
    shape.population_starts.assign(parts, 0);
    if (parts == 0 && populations > 0) shape.subset = subset_of(grid, table);
  }
  for (std::size_t c = 0; c < grid.cells.size(); ++c) {
    const GridCell& cell = grid.cells[c];
    const AcceptanceRule rule = rule_of(plan, study, cell, table);
    shape.cells.push_back({cell.batch, cell.depth, cell.policies, cell.capacities, cell.joint,
                           acceptance_thresholds(at_alpha(study.acceptance, cell.alpha), cell.depth), cell.bits,
                           Tree{study.draft.width, study.draft.verify_tokens}, rule, cell.alpha, cell.demand, apart[c],
                           cell.nested});
    shape.cells.back().demand.demand = calibrated(cell.demand.demand, plan, table);
  }
  return shape;
}

/// See Plan::sampled_depths. A batch shares the depths below the first that stands apart, which is never 0.
std::vector<std::uint8_t> sampled_depths(const TallyShape& shape) {
  std::vector<std::uint8_t> depths(shape.cells.back().batch, kMostDepth);
  for (const CellShape& cell : shape.cells) {
    if (!cell.apart) continue;
    std::uint8_t& deepest = depths[cell.batch - 1];
    deepest = static_cast<std::uint8_t>(std::min<std::uint32_t>(deepest, cell.depth - 1));
  }
  return depths;
}

/// Bits of a hotness count: the fading sum of batch x depth choices a round.
std::uint32_t hotness_planes(const Plan& plan) {
  std::uint64_t most = 0;
  for (const Cell& cell : plan.layout.cells) {
    for (std::uint32_t p = 0; p < cell.policy_count; ++p) {
      if (!hears_drafts(plan.layout.policies[cell.first_policy + p])) continue;
      most = std::max(most, std::uint64_t{cell.batch} * cell.depth << (plan.decay.fraction_bits() + plan.decay.shift));
    }
  }
  std::uint32_t planes = 0;
  for (; most > 0; most >>= 1) ++planes;
  return planes;
}

/// 64-bit words of the largest list cache, or of a pool's residents.
std::uint32_t list_words(const Plan& plan, const RoutingTable& table) {
  const bool pool = plan.shape.scope == Scope::pool;
  const std::uint32_t stride = 64U * static_cast<std::uint32_t>(table.words);
  std::size_t bytes = pool ? std::size_t{table.layers} * stride / 8 : 0;
  for (const Cell& cell : plan.layout.cells) {
    for (std::uint32_t point = 0; point < cell.points(); ++point) {
      const Policy policy = plan.layout.policies[cell.first_policy + point / cell.capacity_count];
      const Capacity& capacity = plan.layout.capacities[cell.first_capacity + point % cell.capacity_count];
      if (pool && references(policy)) {
        bytes = std::max(bytes, ListCache::bytes(policy, table.layers * stride, capacity.total(table.layers)));
      } else if (!pool && keeps_lists(policy)) {
        bytes = std::max(bytes, ListCache::bytes(policy, table.experts, capacity.at(0)));
      }
    }
  }
  return static_cast<std::uint32_t>((bytes + 7) / 8);
}

/// The depths of each batch at which it draws from fewer than twice as many sequences, the shallowest for all.
void note_collisions(Plan& plan, const RoutingTable& table) {
  std::uint32_t noted = 0;  // the batch
  for (const Cell& cell : plan.layout.cells) {
    const auto& evaluation = table.split.evaluation;
    const auto eligible = static_cast<std::size_t>(std::count_if(
        evaluation.begin(), evaluation.end(), [&](std::uint32_t s) { return table.sequences[s].length > cell.depth; }));
    if (cell.batch == 1 || cell.batch == noted || eligible >= 2 * std::size_t{cell.batch}) continue;
    noted = cell.batch;
    plan.notes.push_back(fmt::format(
        "Batch {} draws from only {} evaluation sequences{}: requests of one batch may stand on the same sequence.",
        cell.batch, eligible,
        cell.depth == 0 ? "" : fmt::format(" at depth {}, and no more at larger depths", cell.depth)));
  }
}

/// Captured acceptance that is used at another share of the experts, or at other bits, than it was captured at.
void note_substitutions(Plan& plan, const Study& study, const RoutingTable& table) {
  if (rule_of(study.acceptance.model) != Acceptance::by_token) return;
  std::set<std::pair<double, std::uint32_t>> used;
  for (const CellShape& cell : plan.shape.cells) {
    if (cell.depth > 0) used.emplace(cache_fraction(cell.capacities.front(), table), cell.bits);
  }
  const std::vector<std::string> notes = substitution_notes(*plan.sources.captured, used);
  plan.notes.insert(plan.notes.end(), notes.begin(), notes.end());
}

void note_shortcomings(Plan& plan, const Study& study, const RoutingTable& table) {
  if (plan.walk == Walk::samples || plan.walk == Walk::episodes) note_collisions(plan, table);
  if (plan.shape.groups.replicates == 0 && table.split.evaluation.size() < kFewestSequences) {
    plan.notes.push_back(fmt::format("No trace interval: {} evaluation sequences, at least {} are needed.",
                                     table.split.evaluation.size(), kFewestSequences));
  }
  if (plan.walk == Walk::episodes && reads_trace(study.acceptance.model) && study.grid.depth.back() > 0) {
    plan.notes.push_back(fmt::format(
        "Walks begin at uniform positions and then stay longer where less is accepted: accepted lengths hold for "
        "rounds {} to {} from a random position, and a longer study.warmup{} gives the long-run value.",
        plan.warmup + 1, plan.warmup + plan.rounds,
        traits_of(study.acceptance.model).in_order ? " or study.mode = \"replay\"" : ""));
  }
  plan.notes.insert(plan.notes.end(), plan.sources.notes.begin(), plan.sources.notes.end());
  note_substitutions(plan, study, table);
}

}  // namespace

PlanView Plan::view() const {
  PlanView view;
  view.walk = walk;
  view.seed = seed;
  view.rounds = rounds;
  view.warmup = warmup;
  view.warm = warm;
  view.resample_rejected = resample_rejected;
  view.scope = shape.scope;
  view.histograms = shape.histograms;
  view.partial_sums = partial_sums;
  view.prefetch = prefetch;
  view.prefetch.partners = partners.data();
  view.coupled = coupled;
  view.drafting_experts = shape.experts / shape.slices;
  view.drafting_top_k = shape.top_k / shape.slices;
  std::copy(parameters.begin(), parameters.end(), view.parameters);
  view.decay = decay;
  view.hotness_planes = hotness_planes;
  view.list_words = list_words;
  view.sibling_keeps = sibling_keeps;
  view.ranges = shape.ranges;
  view.groups = shape.groups;
  view.joint_groups = shape.joint_groups;
  std::uint32_t batches = 0, batch = 0;  // cells stand by batch
  for (const Cell& cell : layout.cells) {
    view.max_batch = std::max(view.max_batch, cell.batch);
    view.max_depth = std::max(view.max_depth, cell.depth);
    batches += cell.batch == batch ? 0 : 1;
    batch = cell.batch;
  }
  view.cell_count = static_cast<std::uint32_t>(layout.cells.size());
  view.depth_count = view.cell_count / batches;
  view.totals_width = layout.totals_width;
  view.tokens = tokens;
  view.cells = ViewArray<Cell>::of(layout.cells);
  view.capacities = ViewArray<Capacity>::of(layout.capacities);
  view.policies = ViewArray<Policy>::of(layout.policies);
  view.demands = ViewArray<Demand>::of(layout.demands);
  view.entropy_terms = ViewArray<std::uint32_t>::of(entropy_terms);
  view.confidences = ViewArray<std::uint16_t>::of(confidences);
  view.channel_thresholds = ViewArray<std::uint64_t>::of(channel_thresholds);
  view.nearest = ViewArray<std::uint16_t>::of(sources.nearest);
  view.thresholds = ViewArray<Threshold>::of(layout.thresholds);
  view.token_thresholds = ViewArray<Threshold>::of(token_thresholds);
  view.draft_thresholds = ViewArray<Threshold>::of(draft_thresholds);
  view.proposals = ViewArray<ProposedDraft>::of(sources.proposals);
  view.coverage_thresholds = ViewArray<Threshold>::of(coverage_thresholds);
  view.gate_mass = sources.gate_mass.empty() ? nullptr : sources.gate_mass.data();
  view.score_order = sources.score_order.empty() ? nullptr : sources.score_order.data();
  view.channels = sources.magnitudes.channels;
  view.channel_magnitude = sources.magnitudes.of_tokens.empty() ? nullptr : sources.magnitudes.of_tokens.data();
  view.sampled_depths = ViewArray<std::uint8_t>::of(sampled_depths);
  view.pool_order = ViewArray<std::uint32_t>::of(pool_order);
  view.replay_rows = ViewArray<std::uint32_t>::of(replay_rows);
  view.replay_accepted = ViewArray<std::uint8_t>::of(replay_accepted);
  view.replay_drafted = ViewArray<std::uint8_t>::of(replay_drafted);
  view.replay_group = ViewArray<std::uint32_t>::of(replay_group);
  if (!sources.perturbed.logits.empty()) view.perturb = sources.perturbed.view();
  view.joint_index = ViewArray<std::uint32_t>::of(layout.joint_index);
  view.joints = ViewArray<JointTally>::of(layout.joints);
  view.nested = ViewArray<NestedTally>::of(layout.nested);
  view.draft_weights = ViewArray<std::uint32_t>::of(draft_weights);
  view.start_tables = ViewArray<StartTable>::of(start_tables);
  view.entries = ViewArray<Sequence>::of(entries);
  view.cumulative = ViewArray<std::uint32_t>::of(cumulative);
  return view;
}

PlanView Plan::view_apart() const {
  PlanView apart = view();
  apart.walk = Walk::episodes;
  return apart;
}

std::vector<std::uint32_t> Plan::cells_apart() const {
  std::vector<std::uint32_t> cells;
  for (std::uint32_t c = 0; c < layout.cells.size(); ++c) {
    if (layout.cells[c].apart) cells.push_back(c);
  }
  return cells;
}

Plan make_plan(const Study& study, const Grid& grid, const RoutingTable& table, TraceSources sources) {
  Plan plan;
  const std::vector<bool> apart = choose_walk(plan, study, grid, table);
  check_limits(study, grid, table, plan.walk, !sources.gate_mass.empty());
  plan.seed = study.seed;
  plan.rounds = study.rounds;
  plan.warmup = plan.walk == Walk::episodes && !shares_starts(study) ? study.warmup : 0;
  plan.warm = study.start == Start::warm;
  plan.resample_rejected = study.acceptance.rejected_routing == RejectedRouting::resample;
  plan.coupled = study.cache.scope == Scope::pool || rule_of(study.acceptance.model) == Acceptance::by_coverage ||
                 study.demand.has_value();
  plan.tokens = table.tokens;
  for (const Policy policy : study.grid.policy) {
    if (parameter_of(policy).key == nullptr) continue;
    const std::uint32_t parameter = parameter_of(policy).as_integer(study.cache.parameter(policy));
    plan.parameters[static_cast<std::size_t>(policy)] = parameter;
    if (hears_drafts(policy)) plan.decay.shift = parameter;
  }
  if (study.prefill) plan.partial_sums = {study.prefill->psum_slots.value_or(0), study.prefill->psum_forced};
  if (study.prefetch) add_prefetch(plan, *study.prefetch, table);
  plan.sibling_keeps = static_cast<std::uint32_t>(std::llround(study.draft.sibling_routing.value_or(1) * kShare));
  plan.sources = std::move(sources);
  if (study.demand) add_demand_tables(plan, *study.demand, grid, table);
  if (plan.sources.coverage) plan.coverage_thresholds = coverage_thresholds(*plan.sources.coverage);
  plan.shape = make_shape(plan, study, grid, table, apart);
  plan.layout = TallyLayout::of(plan.shape);
  plan.sampled_depths = sampled_depths(plan.shape);
  plan.hotness_planes = hotness_planes(plan);
  plan.list_words = list_words(plan, table);
  plan.draft_weights = draft_weights(table);
  if (study.cache.scope == Scope::pool) plan.pool_order = pool_order(table);
  if (plan.walk == Walk::replay) {
    if (!plan.sources.mixed) lay_out_replay(plan, study, table);
  } else {
    std::uint32_t max_depth = 0;
    for (const GridCell& cell : grid.cells) max_depth = std::max(max_depth, cell.depth);
    lay_out_starts(plan, table, max_depth);
  }
  note_shortcomings(plan, study, table);
  return plan;
}

}  // namespace moecarlo
