#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cuda/core/perturb.hpp"

namespace moecarlo {

// The tables behind cuda/core/perturb.hpp, row by row. Shards on different machines must build the same integers, and
// std::exp and std::log may differ in the last bit between machines: everything here is IEEE addition, multiplication,
// division and rounding only.

/// Gumbel quantiles -ln(-ln((i + 1/2) / 65536)), Q12, for i = 0 .. 65535: from -10104 to 48265 (-2.47 to 11.78).
std::vector<std::int32_t> gumbel_table();

/// ln(sigmoid(x)) of each, in place: with it for a logit, exp(logit / tau) is sigmoid(x)^(1 / tau).
void log_sigmoid(std::span<double> values);

/// One row of PerturbView::logits: (logit - largest) / temperature, Q12, rounded to nearest; 0 for the largest.
///
/// No draw can tell a gap of 15 from a larger one, so a row that would span 2^30 or more (a temperature near 0) has the
/// gap between neighbours in descending order cut to 256, which keeps the order at every temperature: the set drawn
/// becomes the top k, and equal logits stay equal. logits: [experts], finite, 1 .. 1024 of them; temperature > 0.
void perturbed_logits(std::span<const double> logits, double temperature, std::span<std::int32_t> row);

/// One row of PerturbView::alias from one of PerturbView::logits: a Walker table with integer weights.
///
/// The softmax is rounded to multiples of 2^-22 / experts with sum exactly 1 (each is less than one multiple off); the
/// table then holds the rounded probabilities without any further error. Both: [experts], 1 .. 1024.
void alias_row(std::span<const std::int32_t> logits, std::span<std::uint32_t> cells);

}  // namespace moecarlo
