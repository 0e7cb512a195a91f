#include "host/report/results/loss_json.hpp"

#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "host/support/error.hpp"
#include "host/support/json_file.hpp"
#include "host/support/json_keys.hpp"

namespace moecarlo {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kSchema = "moecarlo-loss";

/// A number is null where one text leaves no error.
double number_of(const Json& rule, const char* name) {
  const Json& found = member(rule, name);
  return found.is_null() ? std::nan("") : found.get<double>();
}

void check(const LossCurve& curve, const std::string& where) {
  bool has_all = false;
  for (const MeasuredLoss& rule : curve.rules) {
    has_all |= rule.demand == "all";
    if (!(rule.dropped_mass >= 0 && rule.dropped_mass <= 1 && rule.perplexity_ratio > 0)) {
      fail(ErrorKind::input,
           "{}: impossible loss of {} (expected a dropped_mass from 0 to 1 and a perplexity_ratio "
           "above 0, found {} and {})",
           where, rule.demand, rule.dropped_mass, rule.perplexity_ratio);
    }
  }
  if (!has_all) fail(ErrorKind::input, "{}: nothing to compare with (expected the rule all, found none)", where);
}

}  // namespace

Json to_json(const LossCurve& curve) {
  Json rules = Json::array();
  for (const MeasuredLoss& one : curve.rules) {
    Json& rule = rules.emplace_back(Json{{"demand", one.demand}});
    for (const auto& [name, number] : MeasuredLoss::kNumbers) {
      rule[name] = std::isfinite(one.*number) ? Json(one.*number) : Json(nullptr);
    }
  }
  return {{"path", curve.path},   {"model", curve.model}, {"texts", curve.texts}, {"tokens", curve.tokens},
          {"depth", curve.depth}, {"batch", curve.batch}, {"rules", rules}};
}

LossCurve loss_curve_from_json(const Json& json) {
  LossCurve curve;
  curve.path = json.value("path", "");
  curve.model = member(json, "model").get<std::string>();
  curve.texts = member(json, "texts").get<std::uint32_t>();
  curve.tokens = member(json, "tokens").get<std::uint32_t>();
  curve.depth = member(json, "depth").get<std::uint32_t>();
  curve.batch = member(json, "batch").get<std::uint32_t>();
  for (const Json& rule : member(json, "rules")) {
    MeasuredLoss& one = curve.rules.emplace_back();
    one.demand = member(rule, "demand").get<std::string>();
    for (const auto& [name, number] : MeasuredLoss::kNumbers) one.*number = number_of(rule, name);
  }
  return curve;
}

LossCurve read_loss_curve(const std::filesystem::path& path) {
  const auto json = read_json<Json>(path, "a loss.json of measure_loss.py");
  const std::string where = path.string();
  try {
    if (member(json, "schema") != kSchema || member(json, "schema_version") != 1) {
      fail(ErrorKind::input, "{}: wrong schema (expected {} version 1, found {} version {})", where, kSchema,
           member(json, "schema").dump(), member(json, "schema_version").dump());
    }
    LossCurve curve = loss_curve_from_json(json);
    Json known = to_json(curve);
    known["schema"] = known["schema_version"] = "";
    known.erase("path");
    expect_keys_of(json, known, where);
    check(curve, where);
    curve.path = where;
    return curve;
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::input, "{}: not a readable loss.json ({})", where, reason_of(error));
  } catch (const std::out_of_range& error) {  // a key that is not there
    fail(ErrorKind::input, "{}: not a readable loss.json ({})", where, error.what());
  }
}

}  // namespace moecarlo
