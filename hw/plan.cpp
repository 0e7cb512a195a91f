#include "hw/plan.hpp"

#include <algorithm>

namespace moecarlo::hw {
namespace {

constexpr double bits_per_byte = 8;

/// Weights read once and used by every token.
Work dense_work(const System& system, const WeightFormat& format, const std::vector<Matrix>& matrices, double tokens,
                double kept_bits) {
  const Work work = compute(system, matrices, tokens, kept_bits) +
                    read_nearest(system, weights(matrices) * format.stored_bits(kept_bits) / bits_per_byte);
  return system.near ? within_reach(system.near->dense_share, work) : work;
}

/// Scores and values over the cached context of every request.
Work cache_work(const System& system, const Model& model, const Serving& serving, double tokens) {
  const double positions = serving.context;
  Work work = read_nearest(system, serving.batch * positions * model.kv_bytes_per_position);
  work.ops = 2 * tokens * positions * model.attention_macs_per_position * system.passes(model.kv_bits);
  return system.near ? within_reach(system.near->cache_share, work) : work;
}

}  // namespace

ExpertsPart within_reach_of_near_memory(const System& system, const Model& model, ExpertsPart experts) {
  if (!system.near) return experts;
  const double held = std::min(1.0, system.near->capacity_bytes / experts_bytes(model));
  return {within_reach(held, experts.pass), within_reach(held, experts.hit), within_reach(held, experts.miss)};
}

Work ExpertsPart::at(double hits, double misses) const {
  if (hits + misses == 0) return {};
  return pass + hits * hit + misses * miss;
}

std::vector<FixedPart> dense_parts(const System& system, const Model& model, const Serving& serving, double tokens,
                                   double kept_bits) {
  const auto layer = [&](const std::vector<Matrix>& beside_attention) {
    return dense_work(system, model.dense_format, model.attention, tokens, kept_bits) +
           dense_work(system, model.dense_format, beside_attention, tokens, kept_bits) +
           cache_work(system, model, serving, tokens);
  };
  std::vector<FixedPart> parts;
  parts.push_back({"attention", static_cast<double>(model.moe_layers), layer(model.moe_dense)});
  if (model.dense_layers > 0)
    parts.push_back({"attention", static_cast<double>(model.dense_layers), layer(model.dense_ffn)});
  parts.push_back({"lm_head", 1, dense_work(system, model.dense_format, {model.lm_head()}, tokens, kept_bits)});
  return parts;
}

Work expert_compute(const System& system, const Model& model, double tokens, double weight_bits) {
  return compute(system, model.expert, tokens * model.top_k, weight_bits);
}

}  // namespace moecarlo::hw
