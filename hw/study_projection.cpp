#include "hw/study_projection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <tuple>

#include "host/simulate/plan.hpp"
#include "host/statistics/quantity.hpp"
#include "host/support/error.hpp"
#include "hw/counted.hpp"
#include "hw/evaluate.hpp"
#include "hw/placement.hpp"
#include "hw/sensitivity.hpp"

namespace moecarlo::hw {
namespace {

constexpr const char* kReference = "xpu";

/// Tokens per second and joules per token with what every group thinks of them.
struct Rates {
  Quantity tokens_per_second;
  Quantity joules_per_token;
};

/// Speed is E[tokens] / E[time] over rounds (renewal-reward). Where tokens per round do not depend on the trace, the
/// replicates, which measure what another trace would change, are freed of their noise.
Rates rates_of(const Sampling& sampling, const Projection& projection, bool lengths_read_trace) {
  std::vector<double> rounds, tokens, seconds, joules;
  for (const GroupTotals& group : projection.groups) {
    rounds.push_back(group.rounds);
    tokens.push_back(group.tokens);
    seconds.push_back(group.seconds);
    joules.push_back(group.joules);
  }
  Quantity tokens_per_round = sampling.ratio(tokens, rounds);
  if (!lengths_read_trace) tokens_per_round = without_trace_error(std::move(tokens_per_round));
  return {tokens_per_round / sampling.ratio(seconds, rounds), sampling.ratio(joules, rounds) / tokens_per_round};
}

Sampling sampling_of(const Tallies& tallies) {
  const GroupLayout& layout = tallies.shape.joint_groups;
  if (tallies.shape.walk == Walk::enumerate || tallies.shape.walk == Walk::replay)
    return Sampling::exact(layout, layout.groups >= kFewestSequences);
  return Sampling::random(layout, tallies.trajectories >= tallies.shape.groups.groups);
}

}  // namespace

/// One projected row and what its workload is counted for. Workloads are not kept: they hold whole histograms.
struct StudyProjection::Row {
  const System* system;
  const Scheme* scheme;
  const Demand* demand;
  std::uint32_t depth;
  Policy policy;
  HardwareResult result;

  Workload workload(const Tallies& tallies) const {
    return workload_of(tallies, demand->batch, depth, policy, demand->bits, demand->capacity, scheme->draft_routing,
                       fmt::format("{} with {}", demand->system, demand->scheme));
  }
};

StudyProjection::StudyProjection(const HardwareSpec& spec, const GridSpec& grid, const DraftSpec& draft,
                                 std::uint32_t trace_layers, std::uint32_t trace_experts, std::uint32_t trace_top_k)
    : spec_(spec),
      policies_(grid.policy),
      trace_layers_(trace_layers),
      model_(read_model(spec.model)),
      reference_(read_system(kReference)),
      machines_(machines_of(spec)) {
  if (model_.experts != trace_experts || model_.top_k != trace_top_k) {
    fail(ErrorKind::usage,
         "study: hardware.model {} does not fit the trace (expected the trace's {} experts with top-{}, found {} with "
         "top-{})",
         spec.model, trace_experts, trace_top_k, model_.experts, model_.top_k);
  }
  for (const std::string& name : spec.schemes) schemes_.push_back(find_scheme(name));
  if (!spec.bit_slices.empty()) add_measured_schemes();
  for (const Machine& one : machines_) {
    try {
      const auto own = demands({&one.system, 1}, schemes_, model_, spec.context, grid.batch, grid.bits, trace_layers);
      demands_.insert(demands_.end(), own.begin(), own.end());
    } catch (const Error& error) {
      if (!one.is_variant()) throw;
      notes_.push_back(
          fmt::format("Left out: {}.", error.what()));  // a sweep goes on where one of its ends is too small
    }
    for (const Scheme& scheme : schemes_) {
      if (!applies(scheme, one.system)) {
        notes_.push_back(fmt::format("Scheme {} does not apply to system {}, which has no hybrid-bonded memory.",
                                     scheme.name, one.name));
      }
    }
  }
  if (demands_.empty()) {
    fail(ErrorKind::usage, "study: no scheme of hardware.schemes applies to a system of hardware.systems");
  }
  for (const Scheme& scheme : schemes_) {
    if (scheme.drafts && grid.depth.back() == 0) {
      fail(ErrorKind::usage, "study: scheme {} drafts (expected a depth above 0 in grid.depth)", scheme.name);
    }
    // Its draft steps are counted as autoregressive steps, which have one token a request.
    if (scheme.draft_routing == DraftRouting::all && draft.width > 1) {
      fail(ErrorKind::usage, "study: scheme {} drafts with unrestricted routing (expected draft.width 1, found {})",
           scheme.name, draft.width);
    }
  }
  if (model_.moe_layers != trace_layers) {
    notes_.push_back(fmt::format("The trace has {} layers, {} has {} MoE layers: expert time and energy are scaled.",
                                 trace_layers, model_.name, model_.moe_layers));
  }
}

/// Puts behind each scheme that keeps upper bits the same on slices as measured.
void StudyProjection::add_measured_schemes() {
  slices_ = read_bit_slices(spec_.bit_slices);
  const Model own = measured(model_, *slices_);
  std::vector<Scheme> both;
  for (const Scheme& scheme : schemes_) {
    both.push_back(scheme);
    if (scheme.uses_bits) both.push_back(on_measured_slices(scheme, own));
  }
  if (both.size() == schemes_.size()) {
    fail(ErrorKind::usage,
         "study: hardware.bit_slices is about schemes that keep upper bits (expected elastic or speq "
         "in hardware.schemes)");
  }
  schemes_ = std::move(both);
  if (slices_->model != model_.name) {
    notes_.push_back(
        fmt::format("The bit slices are those of {}, the hardware's model is {}.", slices_->model, model_.name));
  }
}

/// Nominal and measured: sizes and operations at every number of bits, and how many experts are cached.
std::optional<BitSliceResult> StudyProjection::bit_slice_result() const {
  if (!slices_) return std::nullopt;
  BitSliceResult result{slices_->path, slices_->model, *slices_->figures, {}};
  const auto add = [&](MeasuredQuantity quantity) {
    const auto& known = result.quantities;
    const bool twice =
        std::any_of(known.begin(), known.end(), [&](const auto& other) { return other.name == quantity.name; });
    if (!twice) result.quantities.push_back(std::move(quantity));
  };
  const Model own = measured(model_, *slices_);
  for (const Demand& demand : demands_) {
    const Machine& on = machine(demand.system);
    if (!demand.drafting || on.is_variant()) continue;
    const auto twin = std::find_if(demands_.begin(), demands_.end(), [&](const Demand& other) {
      return other.system == demand.system && other.batch == demand.batch && other.drafting &&
             other.bits == demand.bits && other.scheme == demand.scheme + "-measured";
    });
    if (twin == demands_.end()) continue;
    for (MeasuredQuantity& quantity : measured_quantities(on.system, model_, own, demand.bits)) {
      add(std::move(quantity));
    }
    if (!on.system.hb) continue;
    add({fmt::format("experts cached, {} {}, batch {}, {} bits", demand.system, demand.scheme, demand.batch,
                     demand.bits),
         "per layer", demand.capacity.mean(trace_layers_), twin->capacity.mean(trace_layers_)});
  }
  return result;
}

std::vector<ImpliedCapacity> StudyProjection::implied_capacities() const {
  std::vector<ImpliedCapacity> implied;
  for (const Demand& demand : demands_) {
    implied.push_back({demand.batch, true, Capacity{}});  // the xPU, which caches nothing
    implied.push_back({demand.batch, !demand.drafting, demand.capacity});
    // Drafts with unrestricted routing touch what autoregressive steps touch.
    const Scheme& scheme = scheme_named(demand.scheme);
    if (scheme.draft_routing == DraftRouting::all) implied.push_back({demand.batch, true, demand.capacity});
  }
  return implied;
}

const Scheme& StudyProjection::scheme_named(const std::string& name) const {
  return *std::find_if(schemes_.begin(), schemes_.end(), [&](const Scheme& one) { return one.name == name; });
}

std::vector<StudyProjection::Machine> StudyProjection::machines_of(const HardwareSpec& spec) {
  std::vector<Machine> machines;
  for (const std::string& name : spec.systems) {
    const System system = read_system(name);
    machines.push_back({system, system.name});
    if (!system.hb) continue;
    for (const double capacity : spec.hb_capacity) {
      for (const double bandwidth : spec.hb_bandwidth) {
        Machine variant{system, system.name, capacity, bandwidth};
        if (!variant.is_variant()) continue;
        Preset preset = scaled(system.preset, "hb.capacity", capacity);
        preset = scaled(scaled(preset, "static.hb", capacity), "hb.bandwidth", bandwidth);
        preset.name = fmt::format("{} with {} x capacity, {} x bandwidth of HB", system.name, capacity, bandwidth);
        variant.system = make_system(preset);
        machines.push_back(std::move(variant));
      }
    }
  }
  return machines;
}

const StudyProjection::Machine& StudyProjection::machine(const std::string& name) const {
  return *std::find_if(machines_.begin(), machines_.end(), [&](const Machine& one) { return one.system.name == name; });
}

std::vector<StudyProjection::Row> StudyProjection::rows(const Tallies& tallies) const {
  const Sampling sampling = sampling_of(tallies);
  const bool lengths_read_trace = tallies.shape.acceptance_reads_trace();
  const Scheme autoregressive_scheme = autoregressive();
  std::map<std::uint32_t, Rates> references;  // by batch
  const auto reference = [&](std::uint32_t batch) -> const Rates& {
    if (const auto known = references.find(batch); known != references.end()) return known->second;
    const Workload workload =
        workload_of(tallies, batch, 0, policies_.front(), 0, Capacity{}, DraftRouting::none, kReference);
    const Projection projection = hw::project(reference_, autoregressive_scheme, model_, spec_.context, workload, 8);
    return references.emplace(batch, rates_of(sampling, projection, lengths_read_trace)).first->second;
  };

  std::vector<Row> rows;
  for (const Demand& demand : demands_) {
    const Machine& on = machine(demand.system);
    const Scheme& scheme = scheme_named(demand.scheme);
    std::set<std::uint32_t> depths;
    for (const CellShape& cell : tallies.shape.cells) {
      if (cell.batch == demand.batch && (cell.depth > 0) == demand.drafting) depths.insert(cell.depth);
    }
    for (const std::uint32_t depth : depths) {
      for (const Policy policy : policies_) {
        Row row{&on.system, &scheme, &demand, depth, policy, {}};
        const Workload workload = row.workload(tallies);
        const Projection projection = hw::project(on.system, scheme, model_, spec_.context, workload, demand.bits);
        const Rates own = rates_of(sampling, projection, lengths_read_trace);
        const Rates& base = reference(demand.batch);
        HardwareResult& result = row.result;
        result.system = on.name;
        result.hb_capacity = on.hb_capacity;
        result.hb_bandwidth = on.hb_bandwidth;
        result.scheme = demand.scheme;
        result.policy = workload.policy;
        result.batch = demand.batch;
        result.depth = depth;
        result.bits = demand.bits;
        result.capacity = demand.capacity.mean(trace_layers_);
        result.tokens_per_second = sampling.estimate(own.tokens_per_second);
        result.speedup = sampling.estimate(own.tokens_per_second / base.tokens_per_second);
        result.energy_mj_per_token = sampling.estimate(1e3 * own.joules_per_token);
        result.energy_gain = sampling.estimate(base.joules_per_token / own.joules_per_token);
        result.breakdown = projection.breakdown;
        rows.push_back(std::move(row));
      }
    }
  }
  add_break_even(rows);
  return rows;
}

/// Speculation pays where a round yields more tokens than the scheme's autoregressive mode on the same system in that
/// time.
void StudyProjection::add_break_even(std::vector<Row>& rows) const {
  using Key = std::tuple<std::string, std::string, std::uint32_t, std::string>;  // system, scheme, batch, policy
  const auto key_of = [](const Row& row) {
    return Key{row.demand->system, row.result.scheme, row.result.batch, row.result.policy};
  };
  std::map<Key, double> plain;
  for (const Row& row : rows) {
    if (row.result.depth == 0) plain[key_of(row)] = row.result.tokens_per_second.value;
  }
  for (Row& row : rows) {
    HardwareResult& drafted = row.result;
    const auto found = plain.find(key_of(row));
    if (drafted.depth == 0 || found == plain.end()) continue;
    const double tokens = drafted.breakdown.at("seconds") * found->second / drafted.batch;
    drafted.break_even_acceptance = (tokens - 1) / drafted.depth;
  }
}

void StudyProjection::project(const Tallies& tallies, bool knows_scores, StudyResults& results) const {
  const std::vector<Row> all = rows(tallies);
  results.hardware.clear();
  std::map<std::pair<std::string, std::string>, const Row*> best;  // by system and scheme
  for (const Row& row : all) {
    results.hardware.push_back(row.result);
    if (row.result.is_variant()) continue;
    const Row*& known = best[{row.result.system, row.result.scheme}];
    if (known == nullptr || row.result.speedup.value > known->result.speedup.value) known = &row;
  }

  std::vector<SensitivityRow> chosen;
  std::vector<std::unique_ptr<Workload>> workloads;
  for (const auto& [key, row] : best) {
    if (key.first == kReference) continue;  // its speed-up is 1 by definition
    workloads.push_back(std::make_unique<Workload>(row->workload(tallies)));
    const Workload* own = workloads.back().get();
    workloads.push_back(std::make_unique<Workload>(
        workload_of(tallies, row->result.batch, 0, policies_.front(), 0, Capacity{}, DraftRouting::none, kReference)));
    const HardwareResult& r = row->result;
    chosen.push_back(
        {fmt::format("{} {}, batch {}, depth {}, {}, {} bits", r.system, r.scheme, r.batch, r.depth, r.policy, r.bits),
         *row->system, *row->scheme, row->result.bits, own, reference_, workloads.back().get()});
  }
  results.sensitivity = sensitivity(chosen, model_, spec_.context);
  results.bit_slices = bit_slice_result();

  results.constants.clear();
  const auto append = [&](const Preset& preset) {
    const auto constants = list_constants(preset);
    results.constants.insert(results.constants.end(), constants.begin(), constants.end());
  };
  append(model_.preset);
  append(reference_.preset);
  for (const Machine& one : machines_) {
    if (one.name != kReference && !one.is_variant()) append(one.system.preset);
  }
  for (const Scheme& scheme : schemes_) append(scheme.preset);
  results.notes.insert(results.notes.end(), notes_.begin(), notes_.end());
  const auto drafting = std::count_if(spec_.schemes.begin(), spec_.schemes.end(),
                                      [&](const std::string& name) { return scheme_named(name).drafts; });
  if (drafting > 1) {
    results.notes.emplace_back(
        "All schemes that draft have the study's acceptance: a draft head, a small model and upper bits are compared "
        "as "
        "if they were accepted equally often.");
  }
  if (drafting > 0 && !knows_scores) {
    results.notes.emplace_back(
        "While drafting, a chosen expert that is not resident is replaced by a resident drawn by the layer's "
        "popularity: "
        "the simulation keeps the chosen experts of a token, not the scores of the others.");
  }
}

}  // namespace moecarlo::hw
