#include "host/simulate/partners.hpp"

#include <algorithm>
#include <numeric>

#include "cuda/core/hostdevice.hpp"

namespace moecarlo {
namespace {

template <class Use>
void for_each_bit(const std::uint64_t* mask, int words, const Use& use) {
  for (int w = 0; w < words; ++w) {
    for (std::uint64_t rest = mask[w]; rest != 0; rest &= rest - 1) {
      use(64U * static_cast<std::uint32_t>(w) + lowest_bit(rest));
    }
  }
}

/// [experts][experts] calibration tokens that chose one in layer `before` and the other in `layer`.
std::vector<std::uint32_t> meetings(const RoutingTable& table, std::uint32_t before, std::uint32_t layer) {
  std::vector<std::uint32_t> met(std::size_t{table.experts} * table.experts);
  const auto mask = [&](std::uint32_t token, std::uint32_t at) {
    return table.masks.data() + (std::size_t{token} * table.layers + at) * static_cast<std::size_t>(table.words);
  };
  for (const std::uint32_t s : table.split.calibration) {
    const Sequence& sequence = table.sequences[s];
    for (std::uint32_t token = sequence.first; token < sequence.first + sequence.length; ++token) {
      for_each_bit(mask(token, before), table.words, [&](std::uint32_t first) {
        std::uint32_t* row = met.data() + std::size_t{first} * table.experts;
        for_each_bit(mask(token, layer), table.words, [&](std::uint32_t second) { ++row[second]; });
      });
    }
  }
  return met;
}

}  // namespace

std::vector<std::uint64_t> most_met_partners(const RoutingTable& table, const std::vector<std::uint32_t>& leads,
                                             std::uint32_t count) {
  const auto words = static_cast<std::size_t>(table.words);
  std::vector<std::uint64_t> partners(leads.size() * table.layers * table.experts * words, 0);
  std::vector<std::uint32_t> order(table.experts);
  for (std::size_t i = 0; i < leads.size(); ++i) {
    for (std::uint32_t layer = leads[i]; layer < table.layers; ++layer) {
      const std::vector<std::uint32_t> met = meetings(table, layer - leads[i], layer);
      for (std::uint32_t expert = 0; expert < table.experts; ++expert) {
        const std::uint32_t* row = met.data() + std::size_t{expert} * table.experts;
        std::iota(order.begin(), order.end(), 0U);
        std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return row[a] > row[b]; });
        std::uint64_t* mask = partners.data() + ((i * table.layers + layer) * table.experts + expert) * words;
        for (std::uint32_t n = 0; n < std::min(count, table.experts) && row[order[n]] > 0; ++n) {
          mask[order[n] / 64] |= std::uint64_t{1} << (order[n] % 64);
        }
      }
    }
  }
  return partners;
}

}  // namespace moecarlo
