#include "host/trace/score_order.hpp"

#include <span>

#include "host/support/error.hpp"
#include "host/support/memory_limit.hpp"
#include "host/support/parallel.hpp"
#include "host/trace/kept_tokens.hpp"
#include "host/trace/scoring.hpp"

namespace moecarlo {
namespace {

// The order of one token in every layer. `logits` and `order` are [layers][experts].
void order_token(const TraceReader& reader, const RoutingTable& table, std::span<const float> logits,
                 std::span<std::uint16_t> order) {
  const std::span<const float> biases(reader.selection_bias());
  for (std::uint32_t layer = 0; layer < table.layers; ++layer) {
    const std::size_t base = std::size_t{layer} * table.experts;
    const auto bias = biases.empty() ? biases : biases.subspan(base, table.experts);
    const auto experts = order.subspan(base, table.experts);
    order_experts(reader.scoring(), logits.subspan(base, table.experts), bias, experts);
    for (std::uint16_t& expert : experts) expert = table.rank_of_expert[base + expert];
  }
}

}  // namespace

std::vector<std::uint16_t> read_score_order(const std::filesystem::path& path, const RoutingTable& table,
                                            unsigned threads) {
  const TraceReader reader(path);
  expect_same_trace(reader.info(), reader.phase(), table);
  if (!reader.info().full_logits) {
    fail(ErrorKind::input, "{}: /router_logits: missing (the scores of all experts need a full-logit trace)",
         reader.info().path);
  }
  const std::size_t per_token = std::size_t{table.layers} * table.experts;
  expect_memory(table.tokens * per_token * sizeof(std::uint16_t), table.info.path + ": the score order");
  std::vector<std::uint16_t> order(table.tokens * per_token);
  for_each_kept(reader, table, [&](const KeptChunk& chunk) {
    const std::vector<float> logits = reader.read_logits(chunk.first, chunk.count);
    parallel_for(chunk.kept.size(), threads, [&](std::uint64_t i, unsigned) {
      order_token(reader, table, std::span(logits).subspan(chunk.kept[i] * per_token, per_token),
                  std::span(order).subspan((chunk.first_kept + i) * per_token, per_token));
    });
  });
  return order;
}

}  // namespace moecarlo
