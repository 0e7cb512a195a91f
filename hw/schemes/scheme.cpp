#include "hw/schemes/scheme.hpp"

#include <algorithm>
#include <array>

#include "host/study/names.hpp"
#include "host/support/error.hpp"
#include "hw/schemes/coding.hpp"

namespace moecarlo::hw {
namespace {

/// A scheme without constants of its own, or one that is made of them.
struct Named {
  const char* name;
  Scheme (*plain)();
  Scheme (*of_constants)(const Preset&);
  const char* constants = name;  ///< whose they are

  Scheme make() const {
    return plain != nullptr ? plain() : of_constants(read_preset(find_preset("schemes", constants)));
  }
};

constexpr std::array<Named, 11> all_schemes{{{"ar", autoregressive, nullptr},
                                             {"elastic", elastic, nullptr},
                                             {"eagle", nullptr, eagle},
                                             {"slm", nullptr, slm},
                                             {"quant", quant, nullptr},
                                             {"speq", speq, nullptr},
                                             {"speq-fp16", nullptr, speq_float},
                                             {"mtp", nullptr, mtp},
                                             {"block", nullptr, block},
                                             {"taer", nullptr, taer, "eagle"},
                                             {"coalesce", nullptr, coalesce, "eagle"}}};

}  // namespace

std::vector<Scheme> schemes() {
  std::vector<Scheme> all;
  for (const Named& one : all_schemes) all.push_back(one.make());
  return all;
}

namespace {

const Named* find_named(std::string_view name) {
  const auto* const found =
      std::find_if(all_schemes.begin(), all_schemes.end(), [&](const Named& one) { return one.name == name; });
  return found == all_schemes.end() ? nullptr : found;
}

}  // namespace

Scheme find_scheme(const std::string& name, const BitSlices* counted) {
  std::vector<std::string> codings;
  const Named* const named = find_named(without_codings(name, codings));
  if (named != nullptr) {
    Scheme scheme = named->make();
    for (const std::string& coding : codings) scheme = with_coding(scheme, coding, coding_constants(coding, counted));
    return scheme;
  }
  std::string names;
  for (const Named& one : all_schemes) {
    names += fmt::format("{}{}", names.empty() ? "" : ", ", one.name);
  }
  const auto& rules = demand_rule_names();
  if (std::any_of(rules.begin(), rules.end(), [&](const auto& rule) { return rule.first == name; }))
    fail(ErrorKind::usage, "{}: no scheme but a rule of demand.rule, which goes with any scheme (expected one of {})",
         name, names);
  fail(ErrorKind::usage, "{}: no such scheme (expected one of {})", name, names);
}

Scheme with_constants(const Scheme& scheme, const Preset& constants) {
  std::vector<std::string> codings;
  const Named* const named = find_named(without_codings(scheme.name, codings));
  if (named == nullptr || (named->of_constants == nullptr && codings.empty())) return scheme;
  Preset own = constants;
  const std::vector<Preset> of_codings = take_coding_constants(own, codings);
  Scheme changed = named->of_constants != nullptr ? named->of_constants(own) : named->make();
  for (std::size_t i = 0; i < codings.size(); ++i) changed = with_coding(changed, codings[i], of_codings[i]);
  return changed;
}

bool applies(const Scheme& scheme, const System& system) {
  const bool all_near = !system.dense_weights.spill && !system.dense_at_home();
  if (scheme.uses_bits && (!all_near || system.tiers.size() > 2)) return false;
  return system.has_cache() || !scheme.needs_cache;
}

Scheme on_changed(const Scheme& scheme, const std::function<Model(Model)>& model_of,
                  const std::function<Serving(Serving)>& serving_of) {
  const auto served = [serving_of](const Serving& serving) { return serving_of ? serving_of(serving) : serving; };
  Scheme changed = scheme;
  changed.items = [items = scheme.items, model_of, served](const Model& model, const Serving& serving) {
    return items(model_of(model), served(serving));
  };
  changed.verification = [verification = scheme.verification, model_of, served](
                             const Model& model, const Serving& serving, const Placement& placement) {
    return verification(model_of(model), served(serving), placement);
  };
  changed.plan = [plan = scheme.plan, model_of, served](const System& system, const Model& model,
                                                        const Serving& serving, const Placement& placement) {
    return plan(system, model_of(model), served(serving), placement);
  };
  return changed;
}

Item cached_experts(const Model& model, double slot_bytes) {
  return {"experts", ItemKind::cached, slot_bytes, experts_bytes(model),
          static_cast<double>(model.experts) * model.moe_layers};
}

Pass target_pass(const System& system, const Model& model, const Serving& serving, const TargetPass& pass) {
  std::vector<Pass> parts = dense_parts(system, model, serving, pass.layers);
  if (model.is_dense()) {
    for (Pass& part : parts_between(system, model, pass.layers)) parts.push_back(std::move(part));
    return then(std::move(parts));
  }
  const bool drafting = pass.layers.drafting;
  const Asked asked = drafting ? Asked{} : serving.asked;
  ExpertsWork experts = expert_compute(system, model, pass.layers.tokens, pass.expert_bits, asked);
  const auto object = [&](ExpertBytes expert, double upper) {
    if (!asked.slices) return expert;
    const double share = slice_share(model, upper);
    return ExpertBytes{share * expert.near, share * expert.home, upper};
  };
  const ExpertBytes hit = object(pass.hit, asked.slices ? asked.slices->hits : 0);
  const ExpertBytes miss = object(pass.miss, asked.slices ? asked.slices->misses : 0);
  add_reads(system, model, hit, miss, pass.expert_bits, experts, asked.weights);
  parts.push_back({RoutedPart{drafting ? RoundPart::draft_experts : RoundPart::verify_experts, drafting, experts}});
  for (Pass& part : parts_between(system, model, pass.layers)) parts.push_back(std::move(part));
  const double ahead = fetched_ahead(system, model);
  if (ahead == 0 || miss.home == 0) return then(std::move(parts));
  ExpertsWork stream;
  stream.miss.own = (system.misses.fetch * ahead / system.prefetch.precision) * fetch(system, system.home(), miss.home);
  return beside(then(std::move(parts)),
                {RoutedPart{drafting ? RoundPart::draft_experts : RoundPart::verify_experts, drafting, stream}});
}

Pass own_draft(const System& system, const Serving& serving, const OwnDrafter& drafter) {
  const Unit& first = system.draft_device ? system.units[system.draft_device->unit] : system.units.front();
  const double tokens = drafter.tokens_at_once * draft_tokens(serving);
  Task task{compute(first, drafter.matrices, tokens, drafter.bits), {}, {}};
  task.own += decode(first, weights(drafter.matrices), drafter.bits);
  if (system.draft_device) {
    task.own.add(system.draft_device->store, drafter.bytes);
    return {Part{RoundPart::draft_drafter, 1, task}};
  }
  task.own += read(system, first, system.near_dense(), drafter.near_share * drafter.bytes);
  if (drafter.near_share < 1) task.own += read(system, first, system.home(), (1 - drafter.near_share) * drafter.bytes);
  std::vector<Pass> parts{{Part{RoundPart::draft_drafter, 1, task}}};
  for (Pass& part : parts_between(system, drafter.layers, drafter.hidden, tokens)) parts.push_back(std::move(part));
  return then(std::move(parts));
}

Pass draft_apart(const System& system, const Model& model, const Serving& serving, Pass drafts, Pass verify) {
  if (!system.draft_device) return then({std::move(drafts), std::move(verify)});
  const DraftDevice& device = *system.draft_device;
  constexpr double activation_bytes = 2;
  Task over;  // the hidden states of what is checked, one way; tokens are few bytes
  over.own.add(device.link, activation_bytes * model.hidden * serving.batch * serving.verify_columns, 1);
  const Pass crossing{Part{RoundPart::verify_link, 1, over}};
  if (device.prefix == 1) return then({std::move(drafts), crossing, std::move(verify), crossing});
  return then({layers_of(verify, 0, device.prefix), crossing, beside(layers_of(verify, device.prefix, 1), drafts),
               crossing, times(1 - device.reuse, drafts)});
}

Pass draft_and_verify(const Serving& serving, Pass draft, Pass verify) {
  std::vector<Pass> passes;
  passes.push_back(times(serving.depth, std::move(draft)));
  passes.push_back(std::move(verify));
  return then(std::move(passes));
}

double kept_expert_bits(const Model& model, std::uint32_t bits) {
  const WeightFormat& format = model.expert_format;
  return format.sliceable() ? std::min<double>(bits, format.bits) : format.bits;
}

double slice_bytes(const Model& model, std::uint32_t bits) {
  return weights(model.expert) * model.expert_format.stored_bits(kept_expert_bits(model, bits)) / bits_per_byte;
}

double slice_share(const Model& model, double upper) {
  const WeightFormat& format = model.expert_format;
  const double of_upper = format.stored_bits(format.bits / 2) / format.stored_bits();
  return upper * of_upper + (1 - upper) * (1 - of_upper);
}

double dense_slice_bytes(const Model& model, std::uint32_t bits) {
  return dense_bytes(model) / model.dense_format.stored_bits() * model.dense_format.stored_bits(bits);
}

double draft_tokens(const Serving& serving) {
  return static_cast<double>(serving.batch) * serving.draft_width;
}

}  // namespace moecarlo::hw
