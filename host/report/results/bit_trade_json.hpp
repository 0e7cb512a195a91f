#pragma once

#include <nlohmann/json_fwd.hpp>

#include <vector>

#include "host/statistics/bit_trade.hpp"

namespace moecarlo {

/// The list `bit_trades` of summary.json; what is not finite is null.
nlohmann::ordered_json to_json(const std::vector<BitTrade>& trades);

/// Its inverse. Throws what nlohmann::json throws where a key is missing or of another type.
std::vector<BitTrade> bit_trades_from_json(const nlohmann::ordered_json& json);

}  // namespace moecarlo
