#include "hw/scheme.hpp"

#include <algorithm>
#include <array>

#include "host/support/error.hpp"

namespace moecarlo::hw {
namespace {

constexpr double bits_per_byte = 8;

/// A scheme without constants of its own, or one that is made of them.
struct Named {
  const char* name;
  Scheme (*plain)();
  Scheme (*of_constants)(const Preset&);

  Scheme make() const { return plain != nullptr ? plain() : of_constants(read_preset(find_preset("schemes", name))); }
};

constexpr std::array<Named, 6> all_schemes{{{"ar", autoregressive, nullptr},
                                            {"elastic", elastic, nullptr},
                                            {"eagle", nullptr, eagle},
                                            {"slm", nullptr, slm},
                                            {"quant", quant, nullptr},
                                            {"speq", speq, nullptr}}};

}  // namespace

std::vector<Scheme> schemes() {
  std::vector<Scheme> all;
  for (const Named& one : all_schemes) all.push_back(one.make());
  return all;
}

Scheme find_scheme(const std::string& name) {
  std::string names;
  for (const Named& one : all_schemes) {
    if (one.name == name) return one.make();
    names += fmt::format("{}{}", names.empty() ? "" : ", ", one.name);
  }
  fail(ErrorKind::usage, "{}: no such scheme (expected one of {})", name, names);
}

Scheme with_constants(const Scheme& scheme, const Preset& constants) {
  for (const Named& one : all_schemes) {
    if (one.name == scheme.name && one.of_constants != nullptr) return one.of_constants(constants);
  }
  return scheme;
}

bool applies(const Scheme& scheme, const System& system) {
  return system.hb.has_value() || !scheme.needs_hb;
}

double kept_expert_bits(const Model& model, std::uint32_t bits) {
  const WeightFormat& format = model.expert_format;
  return format.sliceable() ? std::min<double>(bits, format.bits) : format.bits;
}

double slice_bytes(const Model& model, std::uint32_t bits) {
  return weights(model.expert) * model.expert_format.stored_bits(kept_expert_bits(model, bits)) / bits_per_byte;
}

double dense_slice_bytes(const Model& model, std::uint32_t bits) {
  return dense_bytes(model) / model.dense_format.stored_bits() * model.dense_format.stored_bits(bits);
}

double draft_tokens(const Serving& serving) {
  return static_cast<double>(serving.batch) * serving.draft_width;
}

Phase verify_slices(const System& system, const Model& model, const Serving& serving) {
  const double slice = slice_bytes(model, serving.bits);
  Phase phase = verify_whole_experts(system, model, serving);
  const Work hit = read_hb(slice) + read_ext(expert_bytes(model) - slice);
  phase.experts.hit = within_reach_of_near_memory(system, model, {{}, hit, {}}).hit;
  return phase;
}

Phase draft_with_slices(const System& system, const Model& model, const Serving& serving) {
  Phase phase;
  phase.fixed = dense_parts(system, model, serving, draft_tokens(serving),
                            std::min<double>(serving.bits, model.dense_format.bits));
  phase.experts.pass = expert_compute(system, model, draft_tokens(serving), kept_expert_bits(model, serving.bits));
  phase.experts.hit = read_hb(slice_bytes(model, serving.bits));
  return phase;
}

Storage store_slices(const Model& model, const Serving& serving) {
  if (serving.depth == 0) return store_whole_experts(model);
  return {.slot_bytes = slice_bytes(model, serving.bits)};
}

}  // namespace moecarlo::hw
