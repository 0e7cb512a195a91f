#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/trace/captured_acceptance.hpp"
#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// What results say about the trace they rest on; travels with the tallies as JSON.
struct TraceFacts {
  std::string model, path, source;
  std::uint64_t tokens = 0;  ///< simulated: decode tokens where the file marks any
  std::uint64_t layers = 0, experts = 0, top_k = 0, sequences = 0;
  std::uint64_t calibration_sequences = 0, evaluation_sequences = 0;
  std::string routing_hash;        ///< of the packed routing: another trace of equal shape is another study
  bool scores_known = false;       ///< experts that stand in while drafting are the best-scoring ones
  MeanAcceptance captured;         ///< where the study's acceptance is captured; else empty
  std::vector<std::string> notes;  ///< of laying out the study on this trace
};

TraceFacts trace_facts(const RoutingTable& table, bool scores_known, MeanAcceptance captured,
                       const std::vector<std::string>& notes);
std::string to_json(const TraceFacts& facts);
/// Throws an input error where the text is not such facts; `where` names it.
TraceFacts parse_trace_facts(const std::string& text, const std::string& where);

}  // namespace moecarlo
