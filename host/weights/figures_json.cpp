#include "host/weights/figures_json.hpp"

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "host/weights/json_numbers.hpp"

namespace moecarlo {
namespace {

using Json = nlohmann::ordered_json;

Json slice_json(const SliceFigures& slice) {
  return {{"zero_share", slice.zero_share},
          {"zero_bit_share", slice.zero_bit_share},
          {"entropy_bits", slice.entropy_bits},
          {"coded_bits", slice.coded_bits}};
}

SliceFigures slice_from(const Json& json) {
  return {number_at(json, "zero_share"), number_at(json, "zero_bit_share"), number_at(json, "entropy_bits"),
          number_at(json, "coded_bits")};
}

}  // namespace

Json to_json(const WeightFigures& figures) {
  Json json{{"weights", figures.weights},
            {"entropy_bits", figures.entropy_bits},
            {"sign_extension_share", figures.sign_extension_share},
            {"slices", Json::object()},
            {"draft", Json::object()},
            {"planes", Json::array()},
            {"values", figures.values}};
  for (const KeptFigures& kept : figures.kept) {
    const std::string key = std::to_string(kept.kept);
    json["slices"][key] = {{"upper", slice_json(kept.upper)},
                           {"lower", slice_json(kept.lower)},
                           {"sign_extension_share", kept.sign_extension_share},
                           {"conditional_entropy_bits", kept.conditional_entropy_bits}};
    json["slices"][key]["upper"]["histogram"] = upper_histogram(figures, kept.kept);
    json["slices"][key]["lower"]["histogram"] = lower_histogram(figures, kept.kept);
    for (std::size_t i = 0; i < kDraftReadings.size(); ++i) {
      const DraftError& draft = kept.drafts[i];
      json["draft"][key][to_string(kDraftReadings[i])] = {{"mse", number_or_null(draft.mse)},
                                                          {"sqnr_db", number_or_null(draft.sqnr_db)},
                                                          {"cosine", number_or_null(draft.cosine)}};
    }
  }
  for (int bit = kWeightBits - 1; bit >= 0; --bit) {
    const PlaneFigures& plane = figures.planes[static_cast<std::size_t>(bit)];
    json["planes"].push_back({{"bit", bit},
                              {"one_share", plane.one_share},
                              {"coded_bits", plane.coded_bits},
                              {"distinct_patterns", plane.distinct_patterns},
                              {"merged_additions", plane.merged_additions}});
  }
  return json;
}

WeightFigures figures_from_json(const Json& json) {
  WeightFigures figures;
  member(json, "weights").get_to(figures.weights);
  member(json, "values").get_to(figures.values);
  figures.entropy_bits = number_at(json, "entropy_bits");
  figures.sign_extension_share = number_at(json, "sign_extension_share");
  for (const auto& [key, slices] : member(json, "slices").items()) {
    KeptFigures& kept = figures.kept.emplace_back();
    if (key.size() != 1 || key < "2" || key > "7") {
      throw std::out_of_range("slices: a key that is no number of kept bits, 2 to 7");
    }
    kept.kept = key.front() - '0';
    kept.upper = slice_from(member(slices, "upper"));
    kept.lower = slice_from(member(slices, "lower"));
    kept.sign_extension_share = number_at(slices, "sign_extension_share");
    kept.conditional_entropy_bits = number_at(slices, "conditional_entropy_bits");
    const Json& drafts = member(member(json, "draft"), key.c_str());
    for (std::size_t i = 0; i < kDraftReadings.size(); ++i) {
      const Json& draft = member(drafts, to_string(kDraftReadings[i]));
      kept.drafts[i] = {number_at(draft, "mse"), number_at(draft, "sqnr_db"), number_at(draft, "cosine")};
    }
  }
  for (const Json& plane : member(json, "planes")) {
    figures.planes.at(member(plane, "bit").get<std::size_t>()) = {
        number_at(plane, "one_share"), number_at(plane, "coded_bits"), number_at(plane, "distinct_patterns"),
        number_at(plane, "merged_additions")};
  }
  return figures;
}

}  // namespace moecarlo
