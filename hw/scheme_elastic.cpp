#include <algorithm>

#include "hw/scheme.hpp"

namespace moecarlo::hw {
namespace {

constexpr double bits_per_byte = 8;

/// Upper bits of an expert's weights that are kept near. An expert that cannot be sliced is kept whole.
double kept_bits(const Model& model, std::uint32_t bits) {
  const WeightFormat& format = model.expert_format;
  return format.sliceable() ? std::min<double>(bits, format.bits) : format.bits;
}

/// The resident slice: the kept bits with the scales. The remaining bits lie in EXT and need no scales of their own.
double slice_bytes(const Model& model, std::uint32_t bits) {
  return weights(model.expert) * model.expert_format.stored_bits(kept_bits(model, bits)) / bits_per_byte;
}

Storage storage(const Model& model, std::uint32_t bits) {
  return {0, slice_bytes(model, bits)};
}

/// Nothing comes from EXT. Each token computes top_k experts even where fewer are resident: an upper bound, and small
/// beside the reads.
Phase draft(const System& system, const Model& model, const Serving& serving) {
  const double tokens = static_cast<double>(serving.batch) * serving.draft_width;
  Phase phase;
  phase.fixed = dense_parts(system, model, serving, tokens, std::min<double>(serving.bits, model.dense_format.bits));
  phase.experts.pass = expert_compute(system, model, tokens, kept_bits(model, serving.bits));
  phase.experts.hit = read_hb(slice_bytes(model, serving.bits));
  return phase;
}

/// Exact: a hit joins its slice from HB with the remaining bits from EXT, a miss comes whole from EXT.
Phase verify(const System& system, const Model& model, const Serving& serving) {
  const double tokens = static_cast<double>(serving.batch) * serving.verify_columns;
  const double slice = slice_bytes(model, serving.bits);
  Phase phase;
  phase.fixed = dense_parts(system, model, serving, tokens, model.dense_format.bits);
  phase.experts.pass = expert_compute(system, model, tokens, model.expert_format.bits);
  phase.experts.hit = read_hb(slice) + read_ext(expert_bytes(model) - slice);
  phase.experts.miss = read_ext(expert_bytes(model));
  return phase;
}

Plan plan(const System& system, const Model& model, const Serving& serving) {
  Plan plan;
  plan.verify = verify(system, model, serving);
  if (serving.depth > 0) plan.draft = draft(system, model, serving);
  plan.cache_write_bytes = slice_bytes(model, serving.bits);
  return plan;
}

}  // namespace

Scheme elastic() {
  return {.name = "elastic", .needs_hb = true, .drafts = true, .uses_bits = true, .storage = storage, .plan = plan};
}

}  // namespace moecarlo::hw
