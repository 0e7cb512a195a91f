#include "host/trace/gate_mass.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <utility>

#include "host/support/error.hpp"
#include "host/support/memory_limit.hpp"
#include "host/trace/kept_tokens.hpp"
#include "host/trace/rules.hpp"

namespace moecarlo {
namespace {

bool has_weights(const TraceReader& reader) {
  return reader.info().full_logits || reader.extras().expert_weights;
}

// The shares of one token and layer in rank order.
void write_shares(std::span<const std::uint16_t> ids, std::span<const float> weights,
                  std::span<const std::uint16_t> rank_of_expert, std::span<std::uint16_t> shares) {
  std::array<std::pair<std::uint16_t, float>, largest_experts> chosen;
  double sum = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    chosen[i] = {rank_of_expert[ids[i]], weights[i]};
    sum += weights[i];
  }
  std::sort(chosen.begin(), chosen.begin() + static_cast<std::ptrdiff_t>(ids.size()));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const double share = sum > 0 ? chosen[i].second / sum : 1.0 / static_cast<double>(ids.size());
    shares[i] = static_cast<std::uint16_t>(std::lround(65535 * share));
  }
}

void expect_no_negative(const TraceInfo& info, std::uint64_t first_token, std::span<const float> weights) {
  const auto bad = std::find_if(weights.begin(), weights.end(), [](float weight) { return weight < 0; });
  if (bad == weights.end()) return;
  const auto token = static_cast<std::uint64_t>(bad - weights.begin()) / info.layers / info.top_k;
  fail(ErrorKind::input, "{}: /expert_weights: negative weight at token {} (gate mass expects 0 or more, found {})",
       info.path, first_token + token, *bad);
}

}  // namespace

bool has_gate_mass(const std::filesystem::path& path) {
  return has_weights(TraceReader(path));
}

std::vector<std::uint16_t> read_gate_mass(const std::filesystem::path& path, const RoutingTable& table,
                                          unsigned threads) {
  const TraceReader reader(path);
  expect_same_trace(reader.info(), reader.phase(), table);
  if (!has_weights(reader)) return {};
  const std::size_t per_token = std::size_t{table.layers} * table.top_k;
  expect_memory(table.tokens * per_token * sizeof(std::uint16_t), table.info.path + ": the gate mass");
  std::vector<std::uint16_t> mass(table.tokens * per_token);
  for_each_kept(reader, table, [&](const KeptChunk& chunk) {
    const Choices choices = reader.read_choices(chunk.first, chunk.count, threads);
    const std::vector<float> weights = reader.read_weights(chunk.first, choices);
    expect_no_negative(reader.info(), chunk.first, weights);
    auto shares = std::span(mass).subspan(chunk.first_kept * per_token);
    for (const std::uint32_t token : chunk.kept) {
      for (std::uint32_t layer = 0; layer < table.layers; ++layer, shares = shares.subspan(table.top_k)) {
        const std::size_t start = token * per_token + std::size_t{layer} * table.top_k;
        write_shares(choices.at(token, layer), std::span(weights).subspan(start, table.top_k),
                     std::span(table.rank_of_expert).subspan(std::size_t{layer} * table.experts, table.experts),
                     shares.first(table.top_k));
      }
    }
  });
  return mass;
}

}  // namespace moecarlo
