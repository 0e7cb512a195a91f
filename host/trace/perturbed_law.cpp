#include "host/trace/perturbed_law.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "host/trace/limits.hpp"

namespace moecarlo {
namespace {

constexpr double one = 1U << kPerturbFraction;
constexpr double widest_row = 1U << 30;  // Q12
constexpr double widest_gap = 1U << 20;  // Q12: 256, and 1023 of them are less than the widest row
constexpr std::uint64_t cell_weight = std::uint64_t{1} << kAliasThresholdBits;

// 1 / i; the loops below would otherwise wait for one division after the other.
constexpr auto reciprocal = [] {
  std::array<double, 36> table{};
  for (std::size_t i = 1; i < table.size(); ++i) table[i] = 1.0 / static_cast<double>(i);
  return table;
}();
constexpr double ln_2 = 0x1.62e42fefa39efp-1;

// e^x for x <= 0: a power of two and 14 terms of the Taylor series on [-ln 2 / 2, ln 2 / 2]; relative error below
// 1e-13.
double portable_exp(double x) {
  if (x < -700) return 0;
  const double power = std::floor(x / ln_2 + 0.5);
  const double rest = x - power * ln_2;
  double sum = 1;
  for (std::size_t i = 14; i > 0; --i) sum = 1 + sum * (rest * reciprocal[i]);
  return std::ldexp(sum, static_cast<int>(power));
}

// ln(1 + z) for z in [0, 1]: 2 artanh(z / (2 + z)), whose argument is at most 1/3.
double portable_log1p(double z) {
  const double a = z / (2 + z);
  double sum = 0;
  const double square = a * a;
  for (std::size_t i = 18; i > 0; --i) sum = sum * square + reciprocal[2 * i - 1];
  return 2 * a * sum;
}

// ln x for x > 0.
double portable_log(double x) {
  int exponent = 0;
  const double mantissa = std::frexp(x, &exponent);  // in [1/2, 1)
  return exponent * ln_2 - portable_log1p((1 - mantissa) / mantissa);
}

std::int32_t to_q12(double value) {
  return static_cast<std::int32_t>(std::floor(value * one + 0.5));
}

// Sum exactly experts x 2^22: the roundings of the cumulative weights, differenced.
void round_weights(std::span<const std::int32_t> logits, std::span<std::uint64_t> weights) {
  const auto experts = logits.size();
  const std::int32_t largest = *std::max_element(logits.begin(), logits.end());
  std::array<double, largest_experts> cumulative;
  double sum = 0;
  for (std::size_t e = 0; e < experts; ++e) cumulative[e] = sum += portable_exp((logits[e] - largest) / one);
  const auto units = static_cast<double>(experts * cell_weight);
  std::uint64_t before = 0;
  for (std::size_t e = 0; e < experts; ++e) {
    const auto here = static_cast<std::uint64_t>(std::floor(cumulative[e] / sum * units + 0.5));
    weights[e] = here - before;
    before = here;
  }
}

}  // namespace

std::vector<std::int32_t> gumbel_table() {
  std::vector<std::int32_t> table(kGumbelEntries);
  for (std::size_t i = 0; i < table.size(); ++i) {
    const double uniform = (static_cast<double>(i) + 0.5) / kGumbelEntries;
    table[i] = to_q12(-portable_log(-portable_log(uniform)));
  }
  return table;
}

void log_sigmoid(std::span<double> values) {
  for (double& x : values) x = std::min(x, 0.0) - portable_log1p(portable_exp(-std::abs(x)));
}

void perturbed_logits(std::span<const double> logits, double temperature, std::span<std::int32_t> row) {
  const auto [smallest, largest] = std::minmax_element(logits.begin(), logits.end());
  const double top = *largest;
  if ((top - *smallest) / temperature * one < widest_row - 1) {
    for (std::size_t e = 0; e < row.size(); ++e) row[e] = to_q12((logits[e] - top) / temperature);
    return;
  }
  std::array<std::uint16_t, largest_experts> storage{};
  const std::span<std::uint16_t> order(storage.data(), logits.size());
  std::iota(order.begin(), order.end(), std::uint16_t{0});
  std::sort(order.begin(), order.end(), [&](std::uint16_t a, std::uint16_t b) { return logits[a] > logits[b]; });
  double height = 0;  // Q12
  row[order[0]] = 0;
  for (std::size_t i = 1; i < order.size(); ++i) {
    height -= std::min(widest_gap, (logits[order[i - 1]] - logits[order[i]]) / temperature * one);
    row[order[i]] = static_cast<std::int32_t>(std::floor(height + 0.5));
  }
}

void alias_row(std::span<const std::int32_t> logits, std::span<std::uint32_t> cells) {
  const auto experts = static_cast<std::uint32_t>(logits.size());
  std::array<std::uint64_t, largest_experts> weights;
  round_weights(logits, {weights.data(), experts});

  // Vose's two lists share an array: light cells grow from the front, heavy ones from the back.
  std::array<std::uint16_t, largest_experts> list;
  std::size_t light = 0;
  std::size_t heavy = experts;
  for (std::uint32_t e = 0; e < experts; ++e) {
    list[weights[e] < cell_weight ? light++ : --heavy] = static_cast<std::uint16_t>(e);
  }
  while (light > 0) {  // the light lack in sum what the heavy have too much: there is a heavy cell
    const std::uint16_t cell = list[--light];
    const std::uint16_t donor = list[heavy];
    cells[cell] = static_cast<std::uint32_t>(weights[cell] << kAliasBits) | donor;
    weights[donor] -= cell_weight - weights[cell];
    if (weights[donor] < cell_weight) {
      ++heavy;
      list[light++] = donor;
    }
  }
  for (; heavy < experts; ++heavy) cells[list[heavy]] = list[heavy];  // exactly full: its own alias
}

}  // namespace moecarlo
