#include "host/pipeline/trace_facts.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "host/support/error.hpp"
#include "host/support/json_file.hpp"

namespace moecarlo {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(MeanAcceptance, cache_fraction, weight_bits, acceptance)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(TraceFacts, model, path, source, tokens, layers, experts, top_k, sequences,
                                   calibration_sequences, evaluation_sequences, routing_hash, scores_known, captured,
                                   notes)

namespace {

/// FNV-1a over the words of the tokens' masks and the lengths of the sequences: enough to notice a changed file.
std::string routing_hash(const RoutingTable& table) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  const auto mix = [&](std::uint64_t word) { hash = (hash ^ word) * 0x100000001b3U; };
  const auto words = std::size_t{table.tokens} * table.layers * static_cast<std::size_t>(table.words);
  for (const std::uint64_t word : std::span(table.masks).first(words)) mix(word);
  for (const Sequence& sequence : table.sequences) mix(sequence.length);
  return fmt::format("{:016x}", hash);
}

}  // namespace

TraceFacts trace_facts(const RoutingTable& table, bool scores_known, MeanAcceptance captured,
                       const std::vector<std::string>& notes) {
  return {table.info.model,
          table.info.path,
          table.info.source,
          table.tokens,
          table.layers,
          table.experts,
          table.top_k,
          table.sequences.size(),
          table.split.calibration.size(),
          table.split.evaluation.size(),
          routing_hash(table),
          scores_known,
          std::move(captured),
          notes};
}

std::string to_json(const TraceFacts& facts) {
  return json_line(nlohmann::json(facts));
}

TraceFacts parse_trace_facts(const std::string& text, const std::string& where) {
  try {
    return parse_json<nlohmann::json>(text, where).get<TraceFacts>();
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::input, "{}: the facts about the trace are damaged ({})", where, reason_of(error));
  }
}

}  // namespace moecarlo
