#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "host/report/narrative/weights_report.hpp"
#include "host/report/results/escape.hpp"
#include "host/support/json_file.hpp"
#include "host/weights/figures_json.hpp"

namespace moecarlo {
namespace {

using Json = nlohmann::ordered_json;

/// The figures behind what they are of.
Json with_figures(Json json, const WeightFigures& figures) {
  json.update(to_json(figures));
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
      matrix.figures);
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

  void add(const std::string& what, const std::string& kept, const std::string& figure, double value) {
    text_ += fmt::format("{},{},{},{}\n", what, kept, figure, std::isfinite(value) ? fmt::format("{}", value) : "");
  }

  std::string text() && { return std::move(text_); }

 private:
  std::string text_ = "scope,layer,expert,projection,kept,figure,value\n";
};

}  // namespace

std::string bitslice_json(const WeightsMeasure& measure, const std::string& version) {
  Json json{{"schema", kBitSliceSchema},
            {"schema_version", kBitSliceSchemaVersion},
            {"version", version},
            {"weights", {{"path", measure.path}, {"model", measure.model}, {"source", measure.source}}},
            {"total", to_json(measure.total)},
            {"layers", Json::array()},
            {"experts", Json::array()},
            {"matrices", Json::array()}};
  for (const LayerMeasure& layer : measure.layers) {
    json["layers"].push_back(
        with_figures({{"layer", layer.layer}, {"similarity", similarity_json(layer)}}, layer.figures));
  }
  for (const ExpertMeasure& expert : measure.experts) {
    json["experts"].push_back(with_figures({{"layer", expert.layer}, {"expert", expert.expert}}, expert.figures));
  }
  for (const MatrixMeasure& matrix : measure.matrices) json["matrices"].push_back(matrix_json(matrix));
  return json_line(json) + '\n';
}

std::string bitslice_csv(const WeightsMeasure& measure) {
  Csv csv;
  csv.rows("total,,,", measure.total);
  for (const LayerMeasure& layer : measure.layers) {
    csv.rows(fmt::format("layer,{},,", layer.layer), layer.figures);
    for (const auto& [projection, similarity] : layer.similarity) {
      const std::string what = fmt::format("layer,{},,{}", layer.layer, to_string(projection));
      csv.add(what, "", "similarity.mean", similarity.mean);
      csv.add(what, "", "similarity.largest", similarity.largest);
    }
  }
  for (const ExpertMeasure& expert : measure.experts) {
    csv.rows(fmt::format("expert,{},{},", expert.layer, expert.expert), expert.figures);
  }
  for (const MatrixMeasure& matrix : measure.matrices) {
    const MatrixInfo& info = matrix.info;
    const std::string what = fmt::format("matrix,{},{},{}", info.layer, info.expert, to_string(info.projection));
    csv.rows(what, matrix.figures);
    if (matrix.int8_sqnr_db) csv.add(what, "", "int8_sqnr_db", *matrix.int8_sqnr_db);
  }
  return std::move(csv).text();
}

}  // namespace moecarlo
