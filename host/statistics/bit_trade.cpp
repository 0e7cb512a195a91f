#include "host/statistics/bit_trade.hpp"

#include <tuple>

namespace moecarlo {

bool same_line(const BitTrade& a, const BitTrade& b) {
  const auto design = [](const BitTrade& trade) {
    return std::tie(trade.system, trade.scheme, trade.policy, trade.batch, trade.depth, trade.alpha);
  };
  return design(a) == design(b);
}

}  // namespace moecarlo
