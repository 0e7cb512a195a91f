#include "host/trace/synth_logits.hpp"

#include <algorithm>
#include <cmath>

namespace moecarlo {
namespace {

constexpr std::uint32_t noise_block = 4;
constexpr int steps_per_unit = 64, lowest_step = -2048, highest_step = 2047;

/// When an expert arrives in a race of exponential clocks; the first top_k arrivals are the choices.
struct Arrival {
  double time;
  std::uint16_t expert;
};

/// -log of a uniform number in (0, 1): an exponential variate.
double exponential(std::uint32_t word) {
  return -std::log((word + 0.5) / 4294967296.0);
}

/// Exponential variates of all experts of a (token, layer), into `noise` [experts].
void draw_noise(DrawAddress draws, std::span<double> noise) {
  for (std::uint32_t expert = 0; expert < noise.size(); expert += 4) {
    draws.column = expert / 4;
    const RandomBlock random = draws.block(noise_block);
    for (std::uint32_t word = 0; word < 4 && expert + word < noise.size(); ++word) {
      noise[expert + word] = exponential(random.word[word]);
    }
  }
}

}  // namespace

void draw_logits(const SynthLaw& law, std::uint64_t sequence, std::uint32_t topic, std::uint32_t token,
                 std::uint32_t layer, std::span<const std::uint16_t> chosen, std::span<float> logits) {
  const auto experts = static_cast<std::uint32_t>(logits.size());
  double noise_of[1024], weight_of[1024];
  draw_noise(law.address(sequence, token, layer), {noise_of, experts});
  for (std::uint32_t expert = 0; expert < experts; ++expert) weight_of[expert] = law.probability(topic, layer, expert);

  // A Gumbel score of log-weight log w is -log(T), T exponential of rate w: descending scores are ascending times.
  Arrival arrivals[1024];
  bool is_chosen[1024] = {};
  double rate = 1, time = 0;
  for (std::size_t slot = 0; slot < chosen.size(); ++slot) {
    const std::uint16_t expert = chosen[slot];
    time += noise_of[expert] / std::max(rate, weight_of[expert]);  // subtraction may have left too little
    arrivals[slot] = {time, expert};
    is_chosen[expert] = true;
    rate -= weight_of[expert];
  }
  Arrival* end = arrivals + chosen.size();
  for (std::uint32_t expert = 0; expert < experts; ++expert) {
    if (!is_chosen[expert]) {
      *end++ = {time + noise_of[expert] / weight_of[expert], static_cast<std::uint16_t>(expert)};
    }
  }
  std::sort(arrivals + chosen.size(), end, [](const Arrival& a, const Arrival& b) {
    return a.time != b.time ? a.time < b.time : a.expert < b.expert;
  });

  int above = highest_step + 1;
  for (std::uint32_t i = 0; i < experts; ++i) {
    const int floor = lowest_step + static_cast<int>(experts - 1 - i);  // room for those that follow
    const double step = std::clamp(-std::log(arrivals[i].time) * steps_per_unit, -4096.0, 4096.0);
    above = std::clamp(static_cast<int>(std::lround(step)), floor, above - 1);
    logits[arrivals[i].expert] = static_cast<float>(above) / steps_per_unit;
  }
}

}  // namespace moecarlo
