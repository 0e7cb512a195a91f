#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "host/report/narrative/weights_report.hpp"
#include "host/report/results/escape.hpp"
#include "host/support/json_file.hpp"
#include "host/support/json_keys.hpp"
#include "host/weights/figures_json.hpp"
#include "host/weights/format_json.hpp"

namespace moecarlo {
namespace {

using Json = nlohmann::ordered_json;

/// The figures behind what they are of.
Json with_figures(Json json, const WeightFigures& figures, const FormatFigures& formats) {
  add_members(json, to_json(figures));
  add_members(json, to_json(formats));
  return json;
}

Json similarity_json(const LayerMeasure& layer) {
  Json json = Json::object();
  for (const auto& [projection, similarity] : layer.similarity) {
    json[to_string(projection)] = {{"pairs", similarity.pairs},
                                   {"mean", similarity.mean},
                                   {"largest", similarity.largest},
                                   {"experts", {similarity.first, similarity.second}}};
  }
  return json;
}

Json matrix_json(const MatrixMeasure& matrix) {
  const MatrixInfo& info = matrix.info;
  return with_figures(
      {{"name", info.name},
       {"layer", info.layer},
       {"expert", info.expert},
       {"projection", to_string(info.projection)},
       {"rows", info.rows},
       {"columns", info.columns},
       {"int8_sqnr_db",
        matrix.int8_sqnr_db && std::isfinite(*matrix.int8_sqnr_db) ? Json(*matrix.int8_sqnr_db) : Json(nullptr)}},
      matrix.figures, matrix.formats);
}

class Csv {
 public:
  void rows(const std::string& what, const WeightFigures& figures) {
    add(what, "", "weights", static_cast<double>(figures.weights));
    add(what, "", "entropy_bits", figures.entropy_bits);
    add(what, "", "sign_extension_share", figures.sign_extension_share);
    for (const KeptFigures& kept : figures.kept) {
      const std::string bits = std::to_string(kept.kept);
      for (const auto& [name, slice] : {std::pair{"upper", &kept.upper}, {"lower", &kept.lower}}) {
        add(what, bits, fmt::format("{}.zero_share", name), slice->zero_share);
        add(what, bits, fmt::format("{}.zero_bit_share", name), slice->zero_bit_share);
        add(what, bits, fmt::format("{}.entropy_bits", name), slice->entropy_bits);
        add(what, bits, fmt::format("{}.coded_bits", name), slice->coded_bits);
      }
      add(what, bits, "upper.sign_extension_share", kept.sign_extension_share);
      add(what, bits, "lower.conditional_entropy_bits", kept.conditional_entropy_bits);
      for (std::size_t i = 0; i < kDraftReadings.size(); ++i) {
        const char* reading = to_string(kDraftReadings[i]);
        add(what, bits, fmt::format("{}.mse", reading), kept.drafts[i].mse);
        add(what, bits, fmt::format("{}.sqnr_db", reading), kept.drafts[i].sqnr_db);
        add(what, bits, fmt::format("{}.cosine", reading), kept.drafts[i].cosine);
      }
    }
    for (std::size_t bit = 0; bit < kWeightBits; ++bit) {
      const PlaneFigures& plane = figures.planes[bit];
      add(what, "", fmt::format("plane.{}.one_share", bit), plane.one_share);
      add(what, "", fmt::format("plane.{}.coded_bits", bit), plane.coded_bits);
      add(what, "", fmt::format("plane.{}.distinct_patterns", bit), plane.distinct_patterns);
      add(what, "", fmt::format("plane.{}.merged_additions", bit), plane.merged_additions);
    }
  }

  void rows(const std::string& what, const FormatFigures& formats) {
    magnitudes(what, "group", formats.by_group);
    if (formats.by_channel) magnitudes(what, "channel", *formats.by_channel);
    if (formats.lossless) {
      add(what, "", "lossless.entropy_bits", formats.lossless->entropy_bits);
      add(what, "", "lossless.code_bits", formats.lossless->code_bits);
      add(what, "", "lossless.bits_per_weight", formats.lossless->bits_per_weight);
      add(what, "", "float16.free_bit_share", formats.lossless->float16_free_bit_share);
    }
    for (const auto& [kept, errors] : formats.zero_point) {
      const std::string bits = std::to_string(kept);
      for (const auto& [name, error] : {std::pair{"shifted", &errors.shifted}, {"whole", &errors.whole}}) {
        add(what, bits, fmt::format("zero_point.{}.mse", name), error->mse);
        add(what, bits, fmt::format("zero_point.{}.sqnr_db", name), error->sqnr_db);
      }
    }
  }

  void add(const std::string& what, const std::string& kept, const std::string& figure, double value) {
    text_ += fmt::format("{},{},{},{}\n", what, kept, figure, std::isfinite(value) ? fmt::format("{}", value) : "");
  }

  std::string text() && { return std::move(text_); }

 private:
  void magnitudes(const std::string& what, const char* scales, const MagnitudeFigures& figures) {
    add(what, "", fmt::format("{}.zero_share", scales), figures.zero_share);
    for (std::size_t rows = 1; rows <= kMostMergedRows; ++rows) {
      const MergedFigures& merged = figures.by_rows[rows - 1];
      const std::string of = fmt::format("{}.rows_{}", scales, rows);
      add(what, "", of + ".coded_bits", merged.coded_bits);
      add(what, "", of + ".paying_bits", merged.paying_bits);
      add(what, "", of + ".dense_over_merged", merged.dense_over_merged);
      add(what, "", of + ".set_over_merged", merged.set_over_merged);
      add(what, "", of + ".dense_over_signed_merged", merged.dense_over_signed_merged);
    }
  }

  std::string text_ = "scope,layer,expert,projection,kept,figure,value\n";
};

}  // namespace

std::string bitslice_json(const WeightsMeasure& measure, const std::string& version) {
  Json json{{"schema", kBitSliceSchema},
            {"schema_version", kBitSliceSchemaVersion},
            {"version", version},
            {"weights", {{"path", measure.path}, {"model", measure.model}, {"source", measure.source}}},
            {"total", with_figures(Json::object(), measure.total, measure.total_formats)},
            {"layers", Json::array()},
            {"experts", Json::array()},
            {"matrices", Json::array()}};
  for (const LayerMeasure& layer : measure.layers) {
    json["layers"].push_back(
        with_figures({{"layer", layer.layer}, {"similarity", similarity_json(layer)}}, layer.figures, layer.formats));
  }
  for (const ExpertMeasure& expert : measure.experts) {
    json["experts"].push_back(
        with_figures({{"layer", expert.layer}, {"expert", expert.expert}}, expert.figures, expert.formats));
  }
  for (const MatrixMeasure& matrix : measure.matrices) json["matrices"].push_back(matrix_json(matrix));
  return json_line(json) + '\n';
}

std::string bitslice_csv(const WeightsMeasure& measure) {
  Csv csv;
  csv.rows("total,,,", measure.total);
  csv.rows("total,,,", measure.total_formats);
  for (const LayerMeasure& layer : measure.layers) {
    csv.rows(fmt::format("layer,{},,", layer.layer), layer.figures);
    csv.rows(fmt::format("layer,{},,", layer.layer), layer.formats);
    for (const auto& [projection, similarity] : layer.similarity) {
      const std::string what = fmt::format("layer,{},,{}", layer.layer, to_string(projection));
      csv.add(what, "", "similarity.mean", similarity.mean);
      csv.add(what, "", "similarity.largest", similarity.largest);
    }
  }
  for (const ExpertMeasure& expert : measure.experts) {
    csv.rows(fmt::format("expert,{},{},", expert.layer, expert.expert), expert.figures);
    csv.rows(fmt::format("expert,{},{},", expert.layer, expert.expert), expert.formats);
  }
  for (const MatrixMeasure& matrix : measure.matrices) {
    const MatrixInfo& info = matrix.info;
    const std::string what = fmt::format("matrix,{},{},{}", info.layer, info.expert, to_string(info.projection));
    csv.rows(what, matrix.figures);
    csv.rows(what, matrix.formats);
    if (matrix.int8_sqnr_db) csv.add(what, "", "int8_sqnr_db", *matrix.int8_sqnr_db);
  }
  return std::move(csv).text();
}

}  // namespace moecarlo
