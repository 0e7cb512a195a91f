#include "host/cli/trace_facts.hpp"

#include <nlohmann/json.hpp>

#include "host/support/error.hpp"

namespace moecarlo {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(TraceFacts, model, path, source, tokens, layers, experts, top_k, sequences,
                                   calibration_sequences, evaluation_sequences, notes)

TraceFacts trace_facts(const RoutingTable& table, const std::vector<std::string>& notes) {
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
          notes};
}

std::string to_json(const TraceFacts& facts) {
  return nlohmann::json(facts).dump();
}

TraceFacts parse_trace_facts(const std::string& text, const std::string& where) {
  try {
    return nlohmann::json::parse(text).get<TraceFacts>();
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::input, "{}: the facts about the trace are damaged ({})", where, error.what());
  }
}

}  // namespace moecarlo
