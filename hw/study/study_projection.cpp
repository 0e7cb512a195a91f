#include "hw/study/study_projection.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "host/support/error.hpp"
#include "host/support/nearest_name.hpp"
#include "hw/projection/placement.hpp"
#include "hw/schemes/coding.hpp"

namespace moecarlo::hw {
namespace {

constexpr const char* kNoReference = "none";

/// "NAME[hb.bandwidth x2, hb.capacity x0.5]"
std::string variant_name(const std::string& system, const std::map<std::string, double>& factors) {
  std::vector<std::string> words;
  for (const auto& [constant, factor] : factors) words.push_back(fmt::format("{} x{}", constant, factor));
  return fmt::format("{}[{}]", system, fmt::join(words, ", "));
}

/// All combinations of the factors on those constants that one of the presets has, factors of 1 left out.
std::vector<std::map<std::string, double>> crossed(const std::map<std::string, std::vector<double>>& vary,
                                                   const Preset& system, const Preset& model) {
  std::vector<std::map<std::string, double>> all{{}};
  for (const auto& [constant, factors] : vary) {
    if (!has_constant(system, constant) && !has_constant(model, constant)) continue;
    std::vector<std::map<std::string, double>> longer;
    for (const auto& chosen : all) {
      for (const double factor : factors) {
        longer.push_back(chosen);
        if (factor != 1) longer.back().emplace(constant, factor);
      }
    }
    all = std::move(longer);
  }
  return all;
}

/// The preset with what the study sets of it.
Preset with_set(Preset preset, const std::map<std::string, std::string>& set) {
  for (const auto& [constant, text] : set) {
    if (has_constant(preset, constant)) preset = with_text(std::move(preset), constant, text);
  }
  return preset;
}

System read_system_with(const std::string& name, const std::map<std::string, std::string>& set) {
  const System system = read_system(name);
  return set.empty() ? system : make_system(with_set(system.preset, set));
}

Model read_model_with(const std::string& name, const std::map<std::string, std::string>& set) {
  const Model model = read_model(name);
  return set.empty() ? model : make_model(with_set(model.preset, set));
}

/// A sentence for each system and scheme; the numbers are those of the smallest batch that does not fit.
std::vector<std::string> sentences(const std::vector<LeftOutResult>& left_out) {
  std::vector<std::string> notes;
  for (std::size_t first = 0, end = 0; first < left_out.size(); first = end) {
    const LeftOutResult& one = left_out[first];
    std::vector<std::uint32_t> batches;
    for (; end < left_out.size() && left_out[end].system == one.system && left_out[end].scheme == one.scheme; ++end) {
      if (left_out[end].batch) batches.push_back(*left_out[end].batch);
    }
    notes.push_back(fmt::format(
        "Left out{}: {}.", batches.empty() ? "" : fmt::format(" at batch {}", fmt::join(batches, ", ")), one.reason));
  }
  return notes;
}

}  // namespace

StudyProjection::StudyProjection(const HardwareSpec& spec, const GridSpec& grid, const DraftSpec& draft,
                                 std::uint32_t trace_layers, std::uint32_t trace_experts, std::uint32_t trace_top_k,
                                 bool slices)
    : spec_(spec),
      policies_(grid.policy),
      context_(spec.least_context.value_or(spec.context), spec.context),
      trace_layers_(trace_layers),
      model_(read_model_with(spec.model, spec.set)),
      machines_(machines_of(spec, model_)) {
  check_changes(spec);
  if (spec.reference != kNoReference) reference_ = read_system_with(spec.reference, spec.set);
  if (model_.experts != trace_experts || model_.top_k != trace_top_k) {
    fail(ErrorKind::usage,
         "study: hardware.model {} does not fit the trace (expected the trace's {} experts with top-{}, found {} with "
         "top-{})",
         spec.model, trace_experts, trace_top_k, model_.experts, model_.top_k);
  }
  if (!spec.bit_slices.empty()) slices_ = read_bit_slices(spec.bit_slices);
  for (const std::string& name : spec.schemes) schemes_.push_back(find_scheme(name, slices_ ? &*slices_ : nullptr));
  if (!spec.bit_slices.empty()) add_measured_schemes();
  if (slices) {
    for (Scheme& scheme : schemes_) scheme = on_slices(scheme);
    plain_ = on_slices(plain_);
  }
  for (std::string& note : coding_notes(schemes_)) notes_.push_back(std::move(note));
  add_demands(grid);
  check_reference(grid);
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
  if (uses_bits()) {
    if (std::string note = uncut_note(model_, grid.bits); !note.empty()) notes_.push_back(std::move(note));
  }
  if (model_.moe_layers != trace_layers) {
    notes_.push_back(fmt::format("The trace has {} layers, {} has {} MoE layers: expert time and energy are scaled.",
                                 trace_layers, model_.name, model_.moe_layers));
  }
}

bool StudyProjection::drafts_from_residents() const {
  return std::any_of(schemes_.begin(), schemes_.end(),
                     [](const Scheme& one) { return one.draft_routing == DraftRouting::residents; });
}

std::map<std::string, std::string> StudyProjection::rules_asked_by() const {
  std::map<std::string, std::string> rules;
  for (const Scheme& scheme : schemes_) {
    if (!scheme.asks_by.empty()) rules.emplace(scheme.name, scheme.asks_by);
  }
  return rules;
}

bool StudyProjection::uses_bits() const {
  return std::any_of(schemes_.begin(), schemes_.end(), [](const Scheme& one) { return one.uses_bits; });
}

/// Placements of all combinations: those that are possible, and those that are left out.
void StudyProjection::add_demands(const GridSpec& grid) {
  for (const Machine& one : machines_) {
    Demands own = demands({&one.system, 1}, schemes_, one.model, context_, grid.batch, grid.bits, trace_layers_);
    demands_.insert(demands_.end(), own.possible.begin(), own.possible.end());
    left_out_.insert(left_out_.end(), own.left_out.begin(), own.left_out.end());
  }
  const std::vector<std::string> notes = sentences(left_out_);
  if (demands_.empty()) {
    fail(ErrorKind::usage, "study: no scheme of hardware.schemes is possible on a system of hardware.systems ({})",
         notes.front());
  }
  notes_.insert(notes_.end(), notes.begin(), notes.end());
}

/// At which batches speed-ups have nothing to be relative to.
void StudyProjection::check_reference(const GridSpec& grid) {
  if (!reference_) {
    notes_.emplace_back(
        "No speed-ups, no energy gains and no elasticities of them: the study has hardware.reference = \"none\".");
    return;
  }
  for (const std::uint32_t batch : grid.batch) {
    const auto own =
        demands({&*reference_, 1}, std::vector{plain_}, model_, context_, {&batch, 1}, std::vector{8U}, trace_layers_);
    if (own.left_out.empty()) {
      reference_capacity_.emplace(batch, own.possible.front().capacity);
    } else {
      notes_.push_back(
          fmt::format("No speed-up and no energy gain at batch {}: {}.", batch, own.left_out.front().reason));
    }
  }
}

/// Puts behind each scheme that keeps upper bits the same on slices as measured, but for those whose weights are coded.
void StudyProjection::add_measured_schemes() {
  std::vector<Scheme> both;
  bool any_coding = false;
  for (const Scheme& scheme : schemes_) {
    both.push_back(scheme);
    any_coding = any_coding || !scheme.codings.empty();
    if (scheme.uses_bits && scheme.codings.empty())
      both.push_back(on_measured_slices(scheme, measured(model_, *slices_)));
  }
  if (both.size() == schemes_.size() && !any_coding) {
    fail(ErrorKind::usage,
         "study: hardware.bit_slices is about schemes that keep upper bits or code weights (expected elastic or speq "
         "in hardware.schemes, or one with +bstc, +brcr or +dfloat11)");
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
  for (const Demand& demand : demands_) {
    const Machine& on = machine(demand.system);
    if (!demand.drafting || on.is_variant()) continue;
    const auto twin = std::find_if(demands_.begin(), demands_.end(), [&](const Demand& other) {
      return other.system == demand.system && other.batch == demand.batch && other.drafting &&
             other.bits == demand.bits && other.scheme == demand.scheme + "-measured";
    });
    if (twin == demands_.end()) continue;
    const Model own = measured(model_, *slices_);
    for (MeasuredQuantity& quantity : measured_quantities(on.system, model_, own, demand.bits)) {
      add(std::move(quantity));
    }
    if (!on.system.has_cache()) continue;
    add({fmt::format("experts cached, {} {}, batch {}, {} bits", demand.system, demand.scheme, demand.batch,
                     demand.bits),
         "per layer", demand.capacity.mean(trace_layers_), twin->capacity.mean(trace_layers_)});
  }
  return result;
}

std::vector<ImpliedCapacity> StudyProjection::implied_capacities() const {
  std::vector<ImpliedCapacity> implied;
  for (const Demand& demand : demands_) {
    implied.push_back({demand.batch, true, Capacity{}, 8});  // of any system that caches nothing
    const auto imply = [&](const Capacity& capacity, const std::optional<Capacity>& nearer) {
      implied.push_back({demand.batch, !demand.drafting, capacity, demand.bits, nearer});
      // Drafts with unrestricted routing touch what autoregressive steps touch.
      const Scheme& scheme = scheme_named(demand.scheme);
      if (scheme.draft_routing == DraftRouting::all) implied.push_back({demand.batch, true, capacity, 8, nearer});
    };
    for (const Capacity& capacity : demand.nearer) imply(capacity, {});
    imply(demand.capacity, demand.nearer.empty() ? std::nullopt : std::optional(demand.nearer.back()));
  }
  for (const auto& [batch, capacity] : reference_capacity_) implied.push_back({batch, true, capacity, 8});
  return implied;
}

std::vector<ImpliedCapacity> StudyProjection::prefill_capacities(std::uint32_t chunk) const {
  std::vector<ImpliedCapacity> implied;
  for (const Demand& demand : demands_) {
    for (const Capacity& capacity : demand.nearer) implied.push_back({chunk, true, capacity, 8});
    const auto nearer = demand.nearer.empty() ? std::nullopt : std::optional(demand.nearer.back());
    implied.push_back({chunk, true, demand.capacity, 8, nearer});
  }
  return implied;
}

const Scheme& StudyProjection::scheme_named(const std::string& name) const {
  return *std::find_if(schemes_.begin(), schemes_.end(), [&](const Scheme& one) { return one.name == name; });
}

/// Refuses a constant to vary or to set that nothing has.
void StudyProjection::check_changes(const HardwareSpec& spec) const {
  const auto check = [&](const char* table, const std::string& constant) {
    std::vector<std::string_view> names;
    for (const Constant& known : model_.preset.constants) names.emplace_back(known.key);
    for (const Machine& one : machines_) {
      for (const Constant& known : one.system.preset.constants) names.emplace_back(known.key);
    }
    if (std::find(names.begin(), names.end(), constant) != names.end()) return;
    fail(ErrorKind::usage, "study: hardware.{}: no system and not the model has a constant '{}'{}", table, constant,
         is_it(constant, names));
  };
  for (const auto& [constant, factors] : spec.vary) check("vary", constant);
  for (const auto& [constant, text] : spec.set) check("set", constant);
}

std::vector<StudyProjection::Machine> StudyProjection::machines_of(const HardwareSpec& spec, const Model& model) {
  std::vector<Machine> machines;
  for (const std::string& name : spec.systems) {
    const System system = read_system_with(name, spec.set);
    for (const auto& factors : crossed(spec.vary, system.preset, model.preset)) {
      if (factors.empty()) {
        machines.push_back({system, model, "", {}});
        continue;
      }
      Preset own = system.preset, of_model = model.preset;
      for (const auto& [constant, factor] : factors) {
        if (has_constant(own, constant)) own = scaled(own, constant, factor);
        if (has_constant(of_model, constant)) of_model = scaled(of_model, constant, factor);
      }
      own.name = variant_name(system.name, factors);
      machines.push_back({make_system(own), make_model(of_model), system.name, factors});
    }
  }
  return machines;
}

const StudyProjection::Machine& StudyProjection::machine(const std::string& name) const {
  return *std::find_if(machines_.begin(), machines_.end(), [&](const Machine& one) { return one.system.name == name; });
}

void StudyProjection::add_constants(StudyResults& results) const {
  results.constants.clear();
  const auto append = [&](const Preset& preset) {
    const auto constants = list_constants(preset);
    results.constants.insert(results.constants.end(), constants.begin(), constants.end());
  };
  append(model_.preset);
  if (reference_) append(reference_->preset);
  for (const Machine& one : machines_) {
    const bool is_reference = reference_ && one.system.name == reference_->name;
    if (!is_reference && !one.is_variant()) append(one.system.preset);
  }
  for (const Scheme& scheme : schemes_) append(scheme.preset);
}

void StudyProjection::add_notes(bool knows_scores, StudyResults& results) const {
  results.notes.insert(results.notes.end(), notes_.begin(), notes_.end());
  const auto drafting = std::count_if(spec_.schemes.begin(), spec_.schemes.end(),
                                      [&](const std::string& name) { return scheme_named(name).drafts; });
  if (drafting > 1) {
    results.notes.emplace_back(
        "All schemes that draft have the study's acceptance: a draft head, a small model and upper bits are compared "
        "as if they were accepted equally often.");
  }
  if (drafting > 0 && !knows_scores) {
    results.notes.emplace_back(
        "While drafting, a chosen expert that is not resident is replaced by a resident drawn by the layer's "
        "popularity: the simulation keeps the chosen experts of a token, not the scores of the others.");
  }
}

}  // namespace moecarlo::hw
