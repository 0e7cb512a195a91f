#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "host/statistics/loss.hpp"
#include "host/statistics/quantity.hpp"
#include "host/study/names.hpp"
#include "hw/projection/evaluate.hpp"
#include "hw/sensitivity/band.hpp"
#include "hw/sensitivity/sensitivity.hpp"
#include "hw/study/bit_trade.hpp"
#include "hw/study/counted_rounds.hpp"
#include "hw/study/lead.hpp"
#include "hw/study/rates.hpp"
#include "hw/study/study_projection.hpp"
#include "hw/study/study_prompts.hpp"

namespace moecarlo::hw {
namespace {

const Estimate kUnknown{std::numeric_limits<double>::quiet_NaN(), std::nullopt, std::nullopt};

}  // namespace

/// One projected row and where its workload was counted. Workloads are not kept: they hold whole histograms.
struct StudyProjection::Row {
  const Machine* machine;
  const Scheme* scheme;
  const Demand* demand;
  CountedPoint point;
  std::optional<CountedPoint> step;  ///< where the draft's routing is unrestricted: the autoregressive step
  std::vector<std::pair<CountedPoint, std::optional<CountedPoint>>> nearer;  ///< the same of each tier before the last
  HardwareResult result;
  Quantity tokens_per_second, joules_per_token;
  std::optional<BitTrade> trade;  ///< where its draft is the upper bits of what it holds

  Workload workload(const CountedPoints& points) const {
    const auto counted = [&](const CountedPoint& at, const std::optional<CountedPoint>& stepping) {
      return stepping ? points.workload(at, *stepping) : points.workload(at);
    };
    Workload own = counted(point, step);
    std::vector<Workload> smaller;
    for (const auto& [at, stepping] : nearer) smaller.push_back(without_replicates(counted(at, stepping)));
    add_nearer_tiers(own, smaller);
    return own;
  }
  bool shares_workload(const Row& other) const {
    return point == other.point && step == other.step && nearer == other.nearer;
  }
  /// Rows of the same workload become neighbours.
  std::array<std::uint32_t, 3> order() const { return {point.joint, step ? step->joint : kNoJoint, point.nested}; }
};

std::vector<StudyProjection::Row> StudyProjection::rows(const CountedPoints& points, const Tallies& tallies) const {
  std::vector<Row> rows;
  for (const Demand& demand : demands_) {
    const Machine& on = machine(demand.system);
    const Scheme& scheme = scheme_named(demand.scheme);
    const std::string asked_by = fmt::format("{} with {}", demand.system, demand.scheme);
    std::set<std::pair<std::uint32_t, std::optional<double>>> depths;  // each with its alphas
    for (const CellShape& cell : tallies.shape.cells) {
      if (requests_of(cell) == demand.batch && (cell.depth > 0) == demand.drafting)
        depths.emplace(cell.depth, cell.alpha);
    }
    for (const auto& [depth, alpha] : depths) {
      for (const auto& [policy, asked] : asked_policies(points)) {
        if (!scheme.asks_by.empty() && rule_of_label(asked) != scheme.asks_by) continue;
        const auto counted_at = [&, &policy = policy, &asked = asked](
                                    std::uint32_t at, const std::optional<double>& accepted, const Capacity& capacity) {
          return points.find(demand.batch, at, policy, demand.bits, capacity, asked_by, accepted, asked);
        };
        const bool steps = depth > 0 && scheme.draft_routing == DraftRouting::all;
        const auto step_at = [&](const Capacity& capacity) {
          return steps ? std::optional(counted_at(0, {}, capacity)) : std::nullopt;
        };
        Row row{&on, &scheme, &demand, counted_at(depth, alpha, demand.capacity), {}, {}, {}, {}, {}, {}};
        row.step = step_at(demand.capacity);
        for (const Capacity& nearer : demand.nearer)
          row.nearer.emplace_back(counted_at(depth, alpha, nearer), step_at(nearer));
        if (!demand.nearer.empty()) {
          row.point = points.within(row.point, demand.nearer.back());
          if (row.step) row.step = points.within(*row.step, demand.nearer.back());
        }
        HardwareResult& result = row.result;
        result.system = on.system.name;
        result.variant_of = on.variant_of;
        result.vary = on.vary;
        result.scheme = demand.scheme;
        result.policy = to_string(policy);
        result.batch = demand.batch;
        result.depth = depth;
        result.alpha = alpha;
        result.bits = demand.bits;
        result.capacity = demand.capacity.mean(trace_layers_);
        result.demand = asked;
        if (drops(tallies.shape.cells[row.point.cell].demand.demand)) {
          result.lossy = {points.dropped_mass(row.point), depth > 0};
        }
        rows.push_back(std::move(row));
      }
    }
  }
  return rows;
}

/// Every policy with everything that columns ask for.
std::vector<std::pair<Policy, std::string>> StudyProjection::asked_policies(const CountedPoints& points) const {
  std::vector<std::pair<Policy, std::string>> all;
  for (const std::string& asked : points.demands()) {
    for (const Policy policy : policies_) all.emplace_back(policy, asked);
  }
  return all;
}

CountedPoint StudyProjection::reference_point(const CountedPoints& points, std::uint32_t batch) const {
  return points.find(batch, 0, policies_.front(), 8, reference_capacity_.at(batch), reference_->name, {},
                     points.demands().front());
}

/// Whether a row is what its ratios are relative to, so that they are 1 by definition. Without slots the policy decides
/// nothing.
bool StudyProjection::is_reference(const CountedPoints& points, const Row& row) const {
  const HardwareResult& r = row.result;
  const auto capacity = reference_capacity_.find(r.batch);
  return reference_ && capacity != reference_capacity_.end() && r.system == reference_->name &&
         r.scheme == plain_.name && row.point.capacity == capacity->second &&
         (row.point.policy == policies_.front() || row.point.capacity == Capacity{}) &&
         row.result.demand == points.demands().front();
}

std::vector<StudyProjection::Row> StudyProjection::projected_rows(const CountedRounds& counted) const {
  const CountedPoints& points = counted.points;
  const Sampling& sampling = counted.sampling;
  const bool lengths_read_trace = counted.tallies.shape.acceptance_reads_trace();
  std::map<std::uint32_t, std::optional<Rates>> references;  // by batch
  const auto reference = [&](std::uint32_t batch) -> const std::optional<Rates>& {
    const auto [known, is_new] = references.try_emplace(batch);
    if (!is_new || reference_capacity_.count(batch) == 0) return known->second;
    const Workload workload = points.workload(reference_point(points, batch));
    const Projection projection = hw::project(*reference_, plain_, model_, context_, workload, 8);
    return known->second = rates_of(sampling, projection, lengths_read_trace, workload.certain);
  };

  std::vector<Row> all = rows(points, counted.tallies);
  std::vector<Row*> by_workload;
  for (Row& row : all) by_workload.push_back(&row);
  std::stable_sort(by_workload.begin(), by_workload.end(),
                   [](const Row* a, const Row* b) { return a->order() < b->order(); });
  std::map<std::pair<const Machine*, const Scheme*>, hw::Projector> projectors;
  const auto projector = [&](const Row& row) -> hw::Projector& {
    return projectors
        .try_emplace({row.machine, row.scheme}, row.machine->system, *row.scheme, row.machine->model, context_)
        .first->second;
  };
  std::optional<StudyPrompts> prompts;
  if (counted.prefills && !counted.chunk) prompts.emplace(*counted.prefills);
  const Row* before = nullptr;
  Workload workload;
  for (Row* row : by_workload) {
    if (before == nullptr || !row->shares_workload(*before)) workload = row->workload(points);
    before = row;
    HardwareResult& result = row->result;
    const Projection projection = projector(*row).project(workload, result.bits);
    Rates own = rates_of(sampling, projection, lengths_read_trace, workload.certain);
    result.tokens_per_second = sampling.estimate(own.tokens_per_second);
    result.energy_mj_per_token = sampling.estimate(1e3 * own.joules_per_token);
    result.speedup = result.energy_gain = kUnknown;
    if (const auto& base = reference(result.batch)) {
      const auto relative = [&](const Quantity& quotient) {
        return sampling.estimate(is_reference(points, *row) ? without_error(quotient) : quotient);
      };
      result.speedup = relative(own.tokens_per_second / base->tokens_per_second);
      result.energy_gain = relative(base->joules_per_token / own.joules_per_token);
    }
    result.breakdown = projection.breakdown;
    result.lower_bound = projection.lower_bound;
    result.operations_per_byte = projection.operations_per_byte;
    result.operations_per_byte_by_layer = projection.operations_per_byte_by_layer;
    result.busy = projection.busy;
    const double joules = projection.joules.total();
    const double of_token = joules > 0 ? result.energy_mj_per_token.value / joules : 0;
    result.energy_published = of_token * projection.joules.published;
    result.energy_derived = result.energy_published + of_token * projection.joules.derived;
    result.energy_assumed = result.energy_derived + of_token * projection.joules.assumed;
    result.time_per_output_token = sampling.estimate(result.batch * own.seconds_per_token);
    const Serving serving{context_,    result.batch,         result.depth,
                          result.bits, workload.draft_width, workload.verify_columns};
    if (prompts) add_prompt(*prompts, *row, serving);
    if (own.seconds_per_chunk)  // of a prompt of 1 / last chunks
      result.time_to_first_token = sampling.estimate(1 / counted.chunk->last * *own.seconds_per_chunk);
    if (row->scheme->uses_bits && result.depth > 0) {
      row->trade = draft_sizes(row->machine->system, *row->scheme, row->machine->model, serving, projection.placement,
                               mean_counts(workload));
      row->trade->acceptance = sampling.estimate(acceptance_of(own.tokens_per_round, result.batch, result.depth));
    }
    row->tokens_per_second = std::move(own.tokens_per_second);
    row->joules_per_token = std::move(own.joules_per_token);
  }
  add_comparisons(all, sampling);
  return all;
}

/// What a prompt takes on a row's machine; nothing where it was not counted at the row's capacity.
void StudyProjection::add_prompt(StudyPrompts& prompts, Row& row, const Serving& serving) {
  const Policy policy = row.point.policy;
  const auto cost = prompts.cost(row.machine->system, *row.scheme, row.machine->model,
                                 {*row.demand, serving, policy, row.result.demand});
  if (!cost) return;
  row.result.time_to_first_token = prompts.sampling().estimate(cost->seconds);
  row.result.energy_mj_per_prompt = prompts.sampling().estimate(1e3 * cost->joules);
}

/// Speculation pays where a round yields more tokens than the scheme's autoregressive mode on the same system in that
/// time.
void StudyProjection::add_comparisons(std::vector<Row>& rows, const Sampling& sampling) {
  // System, scheme, batch, policy, demand.
  using Key = std::tuple<std::string, std::string, std::uint32_t, std::string, std::string>;
  const auto key_of = [](const Row& row) {
    return Key{row.demand->system, row.result.scheme, row.result.batch, row.result.policy, row.result.demand};
  };
  std::map<Key, const Row*> plain;
  for (const Row& row : rows) {
    if (row.result.depth == 0) plain[key_of(row)] = &row;
  }
  for (Row& row : rows) {
    HardwareResult& drafted = row.result;
    const auto found = plain.find(key_of(row));
    if (drafted.depth == 0 || found == plain.end()) continue;
    const Quantity& own = found->second->tokens_per_second;
    drafted.speedup_over_autoregressive = sampling.estimate(row.tokens_per_second / own);
    const double tokens = drafted.breakdown.at("seconds") * own.value / drafted.batch;
    drafted.break_even_acceptance = (tokens - 1) / drafted.depth;
  }
}

/// Variants of systems are compared with the rows of their own scheme alone. Alpha is a condition and no choice: rows
/// are compared at one alpha, those that draft nothing at each. What drops gate mass competes where everything does.
void StudyProjection::add_leads(const std::vector<Row>& rows, const Sampling& sampling, StudyResults& results) {
  std::set<std::optional<double>> alphas;
  for (const Row& row : rows) {
    if (row.result.alpha) alphas.insert(row.result.alpha);
  }
  if (alphas.empty()) alphas.emplace();
  results.leads.clear();
  for (const std::optional<double>& alpha : alphas) {
    std::map<std::uint32_t, std::vector<Contender>> by_batch;
    std::map<std::tuple<std::string, std::string, std::uint32_t>, std::vector<Contender>> by_scheme;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const HardwareResult& row = rows[i].result;
      if ((row.depth > 0 && row.alpha != alpha) || !may_win(results, row.demand)) continue;
      const Contender contender{i, &rows[i].tokens_per_second};
      if (!row.is_variant()) by_batch[row.batch].push_back(contender);
      by_scheme[{row.system, row.scheme, row.batch}].push_back(contender);
    }
    const auto add = [&](const char* among, const auto& groups) {
      for (const auto& [key, contenders] : groups) {
        const auto lead = lead_of(among, contenders, sampling);
        if (!lead) continue;
        results.leads.push_back(*lead);
        results.leads.back().alpha = alpha;
      }
    };
    add("batch", by_batch);
    add("scheme", by_scheme);
  }
}

std::vector<Workload> StudyProjection::neighbours(const CountedPoints& points, const Row& row) const {
  std::vector<Workload> found;
  if (row.point.nested != kNoJoint) {  // counted as its neighbours are
    Row other = row;
    other.point.nested = kNoJoint;
    if (other.step) other.step->nested = kNoJoint;
    found.push_back(without_replicates(other.workload(points)));
  }
  for (const auto& beside : {points.smaller(row.point), points.larger(row.point)}) {
    if (!beside) continue;
    Row other = row;
    other.point = *beside;
    if (row.step) {
      const HardwareResult& r = row.result;
      other.step = points.find_counted(r.batch, 0, beside->policy, r.bits, beside->capacity, {}, r.demand);
      if (!other.step) continue;
    }
    found.push_back(without_replicates(other.workload(points)));
  }
  return found;
}

void StudyProjection::add_sensitivity(const CountedPoints& points, const std::vector<Row>& rows,
                                      StudyResults& results) const {
  const auto worth = [](const Row& row) {  // by speed alone where there is no reference
    const double speedup = row.result.speedup.value;
    return std::pair(std::isfinite(speedup) ? speedup : 0, row.result.tokens_per_second.value);
  };
  std::map<std::pair<std::string, std::string>, const Row*> best;  // by system and scheme
  for (const Row& row : rows) {
    if (row.result.is_variant()) continue;
    // Without drafting it would be the reference again.
    if (reference_ && row.result.system == reference_->name && row.scheme->drafts && row.result.depth == 0) continue;
    const Row*& known = best[{row.result.system, row.result.scheme}];
    if (known == nullptr || worth(row) > worth(*known)) known = &row;
  }
  results.sensitivity.clear();
  for (const auto& [key, row] : best) {
    const auto elasticities = sensitivity(taken_apart(points, *row), row->machine->model, context_);
    results.sensitivity.insert(results.sensitivity.end(), elasticities.begin(), elasticities.end());
  }
}

void StudyProjection::add_bands(const CountedPoints& points, std::vector<Row>& rows) const {
  for (Row& row : rows) row.result.band = assumption_band(taken_apart(points, row), row.machine->model, context_);
}

/// What a row was counted at, and its reference where it has one.
SensitivityRow StudyProjection::taken_apart(const CountedPoints& points, const Row& row) const {
  const HardwareResult& r = row.result;
  SensitivityRow taken{
      fmt::format(
          "{} {}, batch {}, depth {}, {}, {:.4g} experts per layer, {} bits{}", r.system, r.scheme, r.batch, r.depth,
          r.policy, r.capacity, r.bits,
          (r.alpha ? fmt::format(", alpha {}", *r.alpha) : "") + (r.demand == "all" ? "" : ", demand " + r.demand)),
      {row.machine->system, *row.scheme, r.bits, without_replicates(row.workload(points)), neighbours(points, row)},
      {}};
  if (!std::isfinite(r.speedup.value)) return taken;
  const CountedPoint point = reference_point(points, r.batch);
  taken.reference.emplace(CountedDecoding{*reference_, plain_, 8, without_replicates(points.workload(point)), {}});
  for (const auto& beside : {points.smaller(point), points.larger(point)}) {
    if (beside) taken.reference->neighbours.push_back(without_replicates(points.workload(*beside)));
  }
  return taken;
}

/// Where each unit's operations come to take longer than reading the nearest memory that it sees.
void StudyProjection::add_ridges(StudyResults& results) const {
  results.ridges.clear();
  for (const Machine& one : machines_) {
    if (one.is_variant()) continue;
    const System& system = one.system;
    for (const Unit& unit : system.units) {
      const auto nearest =
          std::find_if(unit.paths.begin(), unit.paths.end(), [](const auto& path) { return !path.empty(); });
      if (nearest == unit.paths.end()) continue;
      double slowest = 0;
      for (const std::uint8_t crossed : *nearest) slowest = std::max(slowest, system.resources[crossed].seconds_per);
      const Resource& operations = system.resources[unit.operations];
      results.ridges[system.name][operations.name] = slowest / operations.seconds_per;
    }
  }
}

std::vector<RowQuantities> StudyProjection::quantities(const Tallies& tallies,
                                                       const std::vector<JointBins>& joints) const {
  std::vector<RowQuantities> all;
  for (Row& row : projected_rows(CountedRounds::of(tallies, joints)))
    all.push_back({std::move(row.result), std::move(row.tokens_per_second), std::move(row.joules_per_token)});
  return all;
}

/// The rows whose drafts are upper bits, each with its lead over the others of its line.
std::vector<BitTrade> StudyProjection::bit_trades(const std::vector<Row>& rows, const Sampling& sampling) {
  std::vector<BitTrade> trades;
  std::vector<Quantity> speeds;
  for (const Row& row : rows) {
    if (!row.trade) continue;
    trades.push_back(with_design(*row.trade, row.result));
    speeds.push_back(row.tokens_per_second);
  }
  add_line_leads(sampling, speeds, trades);
  return trades;
}

void StudyProjection::project(const Tallies& tallies, const std::vector<JointBins>& joints, bool knows_scores,
                              StudyResults& results) const {
  const CountedRounds counted = CountedRounds::of(tallies, joints);
  const auto& [rounds, points, sampling, chunk, prefills] = counted;
  results.reference = reference_ ? reference_->name : "";
  results.left_out = left_out_;
  std::vector<Row> all = projected_rows(counted);
  add_sensitivity(points, all, results);
  if (wants_bands_) add_bands(points, all);
  add_ridges(results);
  add_leads(all, sampling, results);
  results.bit_trades = bit_trades(all, sampling);
  results.hardware.clear();
  for (Row& row : all) results.hardware.push_back(std::move(row.result));
  results.bit_slices = bit_slice_result();
  add_constants(results);
  add_notes(knows_scores, results);
}

}  // namespace moecarlo::hw
