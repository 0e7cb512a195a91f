#include "host/report/results/bit_trade_json.hpp"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "host/support/json_keys.hpp"

namespace moecarlo {
namespace {

using Json = nlohmann::ordered_json;

Json number(std::optional<double> value) {
  return value && std::isfinite(*value) ? Json(*value) : Json(nullptr);
}

double number(const Json& json, const char* key) {
  const Json& found = member(json, key);
  return found.is_null() ? std::numeric_limits<double>::quiet_NaN() : found.get<double>();
}

Json to_json(const Estimate& estimate) {
  return {{"value", number(estimate.value)},
          {"mc_half_width", number(estimate.mc_half_width.stated())},
          {"trace_half_width", number(estimate.trace_half_width.stated())}};
}

Estimate estimate_from(const Json& json) {
  const auto half_width = [&](const char* key) {
    return member(json, key).is_null() ? std::nullopt : std::optional(member(json, key).get<double>());
  };
  return {number(json, "value"), half_width("mc_half_width"), half_width("trace_half_width")};
}

Json to_json(const std::optional<CapturedAt>& captured) {
  if (!captured) return nullptr;
  return {{"acceptance", number(captured->acceptance)},
          {"cache_fraction", number(captured->cache_fraction)},
          {"weight_bits", captured->weight_bits}};
}

Json to_json(const std::optional<Loss>& lossy) {
  if (!lossy) return nullptr;
  return {{"dropped_mass", number(lossy->dropped_mass)},
          {"upper_bound", lossy->upper_bound},
          {"perplexity_ratio", number(lossy->perplexity_ratio)}};
}

Json to_json(const BitTrade& trade) {
  return {{"system", trade.system},
          {"scheme", trade.scheme},
          {"policy", trade.policy},
          {"is_variant", trade.is_variant},
          {"batch", trade.batch},
          {"depth", trade.depth},
          {"bits", trade.bits},
          {"capacity", number(trade.capacity)},
          {"alpha", trade.alpha ? Json(*trade.alpha) : Json(nullptr)},
          {"demand", trade.demand},
          {"lossy", to_json(trade.lossy)},
          {"room_bytes", number(trade.room_bytes)},
          {"slot_bytes", number(trade.slot_bytes)},
          {"slots", number(trade.slots)},
          {"draft_bits", number(trade.draft_bits)},
          {"whole_bits", number(trade.whole_bits)},
          {"step_bytes", number(trade.step_bytes)},
          {"step_expert_bytes", number(trade.step_expert_bytes)},
          {"home", trade.home},
          {"round_home_bytes", number(trade.round_home_bytes)},
          {"acceptance", to_json(trade.acceptance)},
          {"tokens_per_second", to_json(trade.tokens_per_second)},
          {"fastest", trade.fastest},
          {"lead", to_json(trade.lead)},
          {"captured", to_json(trade.captured)}};
}

BitTrade trade_from(const Json& json) {
  BitTrade trade;
  member(json, "system").get_to(trade.system);
  member(json, "scheme").get_to(trade.scheme);
  member(json, "policy").get_to(trade.policy);
  member(json, "is_variant").get_to(trade.is_variant);
  member(json, "batch").get_to(trade.batch);
  member(json, "depth").get_to(trade.depth);
  member(json, "bits").get_to(trade.bits);
  trade.capacity = number(json, "capacity");
  if (const Json& alpha = member(json, "alpha"); !alpha.is_null()) trade.alpha = alpha.get<double>();
  member(json, "demand").get_to(trade.demand);
  if (const Json& lossy = member(json, "lossy"); !lossy.is_null()) {
    const auto share = [&](const char* key) {
      const Json& found = member(lossy, key);
      return found.is_null() ? std::nullopt : std::optional(found.get<double>());
    };
    trade.lossy = Loss{share("dropped_mass"), member(lossy, "upper_bound").get<bool>(), share("perplexity_ratio")};
  }
  trade.room_bytes = number(json, "room_bytes");
  trade.slot_bytes = number(json, "slot_bytes");
  trade.slots = number(json, "slots");
  trade.draft_bits = number(json, "draft_bits");
  trade.whole_bits = number(json, "whole_bits");
  trade.step_bytes = number(json, "step_bytes");
  trade.step_expert_bytes = number(json, "step_expert_bytes");
  member(json, "home").get_to(trade.home);
  trade.round_home_bytes = number(json, "round_home_bytes");
  trade.acceptance = estimate_from(member(json, "acceptance"));
  trade.tokens_per_second = estimate_from(member(json, "tokens_per_second"));
  member(json, "fastest").get_to(trade.fastest);
  trade.lead = estimate_from(member(json, "lead"));
  if (const Json& captured = member(json, "captured"); !captured.is_null()) {
    trade.captured = CapturedAt{number(captured, "acceptance"), number(captured, "cache_fraction"),
                                member(captured, "weight_bits").get<std::uint32_t>()};
  }
  return trade;
}

}  // namespace

Json to_json(const std::vector<BitTrade>& trades) {
  Json json = Json::array();
  for (const BitTrade& trade : trades) json.push_back(to_json(trade));
  return json;
}

std::vector<BitTrade> bit_trades_from_json(const Json& json) {
  std::vector<BitTrade> trades;
  for (const Json& item : json) trades.push_back(trade_from(item));
  return trades;
}

}  // namespace moecarlo
