#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>

#include "host/statistics/estimate.hpp"
#include "host/statistics/loss.hpp"

namespace moecarlo {

/// Acceptance as a trace has it: the mean over its tokens between the configurations that were captured.
struct CapturedAt {
  double acceptance = 0;
  double cache_fraction = 0;      ///< that it holds for: another than the row's where that was not captured
  std::uint32_t weight_bits = 0;  ///< likewise
};

/// A design whose draft is the upper bits of what fast memory holds, at one number of kept bits. Those that differ in
/// bits alone are a line of equal bytes: the same fast memory holds more experts of fewer bits, or fewer of more.
struct BitTrade {
  std::string system, scheme, policy;  ///< as in the hardware rows
  bool is_variant = false;             ///< of a system
  std::uint32_t batch = 1, depth = 0, bits = 8;
  double capacity = 0;                 ///< experts per layer
  std::optional<double> alpha{};       ///< where the study has several
  std::string demand = "all";          ///< as in the hardware rows
  std::optional<Loss> lossy{};         ///< likewise
  double room_bytes = 0;               ///< of fast memory that are left to experts
  double slot_bytes = 0;               ///< one expert's kept bits with their scales
  double slots = 0;                    ///< over all layers: as many as fit, at most all experts
  double draft_bits = 0;               ///< a draft step reads of each weight of a resident expert that it touches
  double whole_bits = 0;               ///< of each weight that a verification fetches, scales included
  double step_bytes = 0;               ///< one draft step reads in the mean
  double step_expert_bytes = 0;        ///< of them experts
  std::string home;                    ///< the memory that holds everything
  double round_home_bytes = 0;         ///< a round reads of it over its bus in the mean
  Estimate acceptance;                 ///< accepted length / depth
  Estimate tokens_per_second;          ///< all requests together
  bool fastest = false;                ///< of its line
  Estimate lead;                       ///< how many times as fast as this row the fastest of its line is
  std::optional<CapturedAt> captured;  ///< where acceptance is captured
};

/// What rows have in common that differ in bits (and what follows from them) alone.
using BitTradeLine =
    std::tuple<std::string, std::string, std::string, std::uint32_t, std::uint32_t, std::optional<double>, std::string>;
inline BitTradeLine line_of(const BitTrade& trade) {
  return {trade.system, trade.scheme, trade.policy, trade.batch, trade.depth, trade.alpha, trade.demand};
}

}  // namespace moecarlo
