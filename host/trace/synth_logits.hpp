#pragma once

#include <cstdint>
#include <span>

#include "host/trace/synth_law.hpp"

namespace moecarlo {

/// Router logits under which the experts of a (token, layer) are the top k, in slot order.
///
/// Log-weight plus Gumbel noise, whose descending order has the law of successive draws without replacement (Yellott,
/// J. Math. Psychol. 15(2), 1977), conditioned on the order drawn: the largest score first, every other one truncated
/// below it (Maddison et al., A* Sampling, NIPS 2014, section 2). Then rounded to sixty-fourths in [-32, 32), which
/// float16 holds exactly, and moved down where two would be equal.
///
/// `chosen` [top_k] in slot order; `logits` [experts] receives the result.
void draw_logits(const SynthLaw& law, std::uint64_t sequence, std::uint32_t topic, std::uint32_t token,
                 std::uint32_t layer, std::span<const std::uint16_t> chosen, std::span<float> logits);

}  // namespace moecarlo
