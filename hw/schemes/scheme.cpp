#include "hw/schemes/scheme.hpp"

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
  const auto* const named =
      std::find_if(all_schemes.begin(), all_schemes.end(), [&](const Named& one) { return one.name == scheme.name; });
  return named == all_schemes.end() || named->of_constants == nullptr ? scheme : named->of_constants(constants);
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

}  // namespace moecarlo::hw
