#include "host/weights/format_json.hpp"

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "host/weights/json_numbers.hpp"

namespace moecarlo {
namespace {

using Json = nlohmann::ordered_json;

Json magnitude_json(const MagnitudeFigures& figures) {
  Json json{{"weights", figures.weights},
            {"zero_share", figures.zero_share},
            {"one_share", figures.one_share},
            {"rows", Json::object()}};
  for (std::size_t rows = 1; rows <= kMostMergedRows; ++rows) {
    const MergedFigures& merged = figures.by_rows[rows - 1];
    json["rows"][std::to_string(rows)] = {
        {"coded_bits", merged.coded_bits},
        {"paying_bits", merged.paying_bits},
        {"plane_bits", merged.plane_bits},
        {"dense_over_merged", number_or_null(merged.dense_over_merged)},
        {"set_over_merged", number_or_null(merged.set_over_merged)},
        {"dense_over_signed_merged", number_or_null(merged.dense_over_signed_merged)}};
  }
  return json;
}

MagnitudeFigures magnitude_from(const Json& json) {
  MagnitudeFigures figures;
  member(json, "weights").get_to(figures.weights);
  figures.zero_share = number_at(json, "zero_share");
  member(json, "one_share").get_to(figures.one_share);
  for (std::size_t rows = 1; rows <= kMostMergedRows; ++rows) {
    const Json& merged = member(member(json, "rows"), std::to_string(rows).c_str());
    figures.by_rows[rows - 1] = {number_at(merged, "coded_bits"),
                                 number_at(merged, "paying_bits"),
                                 number_at(merged, "dense_over_merged"),
                                 number_at(merged, "set_over_merged"),
                                 number_at(merged, "dense_over_signed_merged"),
                                 member(merged, "plane_bits").get<std::array<double, kMagnitudeBits>>()};
  }
  return figures;
}

Json error_json(const SliceError& error) {
  return {{"mse", number_or_null(error.mse)}, {"sqnr_db", number_or_null(error.sqnr_db)}};
}

SliceError error_from(const Json& json) {
  return {number_at(json, "mse"), number_at(json, "sqnr_db")};
}

}  // namespace

Json to_json(const FormatFigures& figures) {
  Json json{{"lossless", nullptr},
            {"exponents", nullptr},
            {"sign_magnitude", {{"group", magnitude_json(figures.by_group)}, {"channel", nullptr}}},
            {"zero_point", Json::object()}};
  if (figures.by_channel) json["sign_magnitude"]["channel"] = magnitude_json(*figures.by_channel);
  if (figures.lossless) {
    const LosslessFigures& own = *figures.lossless;
    json["lossless"] = {
        {"entropy_bits", own.entropy_bits}, {"code_bits", own.code_bits}, {"bits_per_weight", own.bits_per_weight}};
    json["exponents"] = {{"bfloat16", own.bfloat16},
                         {"float16", own.float16},
                         {"float16_entropy_bits", own.float16_entropy_bits},
                         {"float16_free_bit_share", own.float16_free_bit_share}};
  }
  for (const auto& [kept, errors] : figures.zero_point) {
    json["zero_point"][std::to_string(kept)] = {{"shifted", error_json(errors.shifted)},
                                                {"whole", error_json(errors.whole)}};
  }
  return json;
}

FormatFigures format_figures_from_json(const Json& json) {
  FormatFigures figures;
  const Json& planes = member(json, "sign_magnitude");
  figures.by_group = magnitude_from(member(planes, "group"));
  if (const Json& channel = member(planes, "channel"); !channel.is_null()) figures.by_channel = magnitude_from(channel);
  const Json& exponents = member(json, "exponents");
  if (const Json& lossless = member(json, "lossless"); !lossless.is_null()) {
    figures.lossless = {number_at(lossless, "entropy_bits"),
                        number_at(lossless, "code_bits"),
                        number_at(lossless, "bits_per_weight"),
                        number_at(exponents, "float16_entropy_bits"),
                        number_at(exponents, "float16_free_bit_share"),
                        member(exponents, "bfloat16").get<std::array<std::uint64_t, kBfloat16Exponents>>(),
                        member(exponents, "float16").get<std::array<std::uint64_t, kFloat16Exponents>>()};
  }
  for (const auto& [key, errors] : member(json, "zero_point").items()) {
    if (key.size() != 1 || key < "2" || key > "7") {
      throw std::out_of_range("zero_point: a key that is no number of kept bits, 2 to 7");
    }
    figures.zero_point[key.front() - '0'] = {error_from(member(errors, "shifted")),
                                             error_from(member(errors, "whole"))};
  }
  return figures;
}

}  // namespace moecarlo
