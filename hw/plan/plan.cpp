#include "hw/plan/plan.hpp"

#include <algorithm>
#include <cmath>

namespace moecarlo::hw {
namespace {

constexpr double bits_per_byte = 8;

/// Weights read once and used by every token.
struct DenseWeights {
  const WeightFormat& format;
  double kept_bits, spilled_share;
};

Work dense_work(const System& system, const DenseWeights& read, const std::vector<Matrix>& matrices, double tokens) {
  const double bytes = weights(matrices) * read.format.stored_bits(read.kept_bits) / bits_per_byte;
  const Work work = compute(system, matrices, tokens, read.kept_bits) + read_nearest(system, bytes, read.spilled_share);
  return system.near ? within_reach(system.near->dense_share, work) : work;
}

/// Scores and values over the cached context of every request; states are written as well as read.
Work context_work(const System& system, const Model& model, const Mixer& mixer, const Serving& serving, double tokens) {
  Work work = read_nearest(system, serving.batch * (mixer.read_bytes(serving.context) + mixer.state_bytes));
  work.ops = 2 * tokens * mixer.macs(serving.context) * system.passes(model.kv_bits);
  return system.near ? within_reach(system.near->cache_share, work) : work;
}

/// Expected number in the fullest of `groups` groups of so many experts: the sum over m of P(some group holds more than
/// m). The chance that none does is n! / groups^n times the coefficient of x^n in (sum of x^i / i!, i <= m)^groups.
double mean_largest(std::size_t experts, double groups) {
  double mean = 0;
  for (std::size_t most = 0; most < experts; ++most) {
    // Poisson weights of mean experts / groups in place of 1 / i!, so that nothing overflows.
    const double rate = static_cast<double>(experts) / groups;
    std::vector<double> one(most + 1), all{1.0};
    for (std::size_t i = 0; i <= most; ++i) {
      one[i] = std::exp(static_cast<double>(i) * std::log(rate) - rate - std::lgamma(static_cast<double>(i) + 1));
    }
    for (int group = 0; group < static_cast<int>(groups); ++group) {
      std::vector<double> next(std::min(experts + 1, all.size() + most), 0.0);
      for (std::size_t a = 0; a < all.size(); ++a) {
        for (std::size_t b = 0; b <= most && a + b < next.size(); ++b) next[a + b] += all[a] * one[b];
      }
      all = std::move(next);
    }
    const double total = static_cast<double>(experts);
    const double poisson = std::exp(total * std::log(total) - total - std::lgamma(total + 1));
    const double none_above = all.size() > experts ? all[experts] / poisson : 0;
    mean += 1 - none_above;
    if (none_above > 1 - 1e-12) break;
  }
  return mean;
}

}  // namespace

RoundPart round_part(bool drafting, Component component) {
  constexpr auto first_of_verify = static_cast<std::uint8_t>(RoundPart::verify_attention);
  return static_cast<RoundPart>((drafting ? 0 : first_of_verify) + static_cast<std::uint8_t>(component));
}

ExpertsPart within_reach_of_near_memory(const System& system, const Model& model, ExpertsPart experts) {
  if (!system.near) return experts;
  const double held = std::min(1.0, system.near->capacity_bytes / experts_bytes(model));
  return {within_reach(held, experts.pass), within_reach(held, experts.hit), within_reach(held, experts.miss)};
}

double busiest_group(double experts, double groups) {
  if (groups <= 1 || experts <= 0) return 1;
  const auto below = static_cast<std::size_t>(experts);
  const double share = experts - static_cast<double>(below);
  const double lower = below == 0 ? 0 : mean_largest(below, groups);
  const double largest = share == 0 ? lower : (1 - share) * lower + share * mean_largest(below + 1, groups);
  return largest * groups / experts;
}

double busiest_banks(const System& system, double hits) {
  return system.hb ? busiest_group(hits, system.hb->expert_groups) : 1;
}

Work ExpertsPart::at(double hits, double misses) const {
  if (hits + misses == 0) return {};
  return pass + hits * hit + misses * miss;
}

std::vector<FixedPart> dense_parts(const System& system, const Model& model, const Serving& serving, double tokens,
                                   double kept_bits, double spilled_share) {
  const DenseWeights read{model.dense_format, kept_bits, spilled_share};
  std::vector<FixedPart> parts;
  for (const LayerKind& kind : model.layers) {
    const Work layer = dense_work(system, read, kind.mixer.matrices, tokens) +
                       dense_work(system, read, kind.dense, tokens) +
                       context_work(system, model, kind.mixer, serving, tokens);
    parts.push_back({Component::attention, static_cast<double>(kind.count), layer});
  }
  parts.push_back({Component::lm_head, 1, dense_work(system, read, {model.lm_head()}, tokens)});
  return parts;
}

Work expert_compute(const System& system, const Model& model, double tokens, double weight_bits) {
  Work work = compute(system, model.expert, tokens * model.top_k, weight_bits);
  work.ops *= model.expert_format.multiplied_share(weight_bits, system.bits_per_pass);
  return work;
}

}  // namespace moecarlo::hw
