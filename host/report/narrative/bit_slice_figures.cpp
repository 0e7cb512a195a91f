#include <fmt/format.h>

#include <array>

#include "host/report/charts/chart.hpp"
#include "host/report/charts/palette.hpp"
#include "host/report/narrative/figures.hpp"

namespace moecarlo {
namespace {

constexpr const char* kNoIntervals = "Counted, not sampled: no error bars";

void add(std::vector<Figure>& figures, const std::string& id, const LineChart& chart, const std::string& caption) {
  figures.push_back(figure_of(id, caption, chart));
}

double per_cent(std::uint64_t count, const WeightFigures& weights) {
  return 100 * static_cast<double>(count) / static_cast<double>(weights.weights);
}

void add_values(std::vector<Figure>& figures, const WeightFigures& weights) {
  LineSeries series{"", category_colour(0), -1, false, {}};
  for (int weight = -kLargestWeight; weight <= kLargestWeight; ++weight) {
    const double share = per_cent(weights.values[static_cast<std::uint8_t>(weight)], weights);
    series.points.push_back({static_cast<double>(weight), share, 0, std::nullopt, 0.0});
  }
  add(figures, "weight_values",
      {{"Values of the INT8 weights", kNoIntervals, "weight", "% of the weights"}, {series}, 1},
      "How often each value occurs. A group of 32 weights reaches -127 or 127 where its largest magnitude sets its "
      "scale.");
}

void add_slices(std::vector<Figure>& figures, const WeightFigures& weights) {
  constexpr int kept = 4;
  const std::vector<std::uint64_t> upper = upper_histogram(weights, kept), lower = lower_histogram(weights, kept);
  LineSeries of_upper{"upper slice m", category_colour(0), 0, false, {}};
  LineSeries of_lower{"lower slice l", category_colour(1), 1, true, {}};
  for (int value = -8; value < 8; ++value) {
    of_upper.points.push_back({static_cast<double>(value),
                               per_cent(upper[static_cast<std::size_t>(value & 15)], weights), 0, std::nullopt,
                               std::nullopt});
  }
  for (std::size_t value = 0; value < lower.size(); ++value) {
    of_lower.points.push_back(
        {static_cast<double>(value), per_cent(lower[value], weights), 0, std::nullopt, std::nullopt});
  }
  add(figures, "slice_values",
      {{"Values of the two halves of a weight, w = 16 m + l", kNoIntervals, "slice", "% of the weights"},
       {of_upper, of_lower},
       1},
      "A flat curve can be neither coded nor skipped; a peak at 0 can be both.");
}

/// A curve for each way that a draft reads the upper bits.
template <class Value>
std::vector<LineSeries> by_reading(const WeightFigures& weights, const Value& value) {
  constexpr std::array<const char*, kDraftReadings.size()> names{"truncate", "round", "LSB-augmented",
                                                                 "dedicated copy"};
  std::vector<LineSeries> series;
  for (std::size_t reading = 0; reading < kDraftReadings.size(); ++reading) {
    const bool dedicated = kDraftReadings[reading] == DraftReading::dedicated;
    LineSeries& one = series.emplace_back(
        LineSeries{names[reading], category_colour(reading), static_cast<int>(reading), dedicated, {}});
    for (const KeptFigures& kept : weights.kept) {
      one.points.push_back(
          {static_cast<double>(kept.kept), value(kept.drafts[reading]), 0, std::nullopt, std::nullopt});
    }
  }
  return series;
}

void add_drafts(std::vector<Figure>& figures, const WeightFigures& weights) {
  if (weights.kept.size() < 2) return;
  add(figures, "draft_sqnr",
      {{"How well a draft stands for the INT8 weights", kNoIntervals, "kept bits", "SQNR, dB"},
       by_reading(weights, [](const DraftError& error) { return error.sqnr_db; }),
       1},
      "Signal to noise of the draft weights, scales included; 6 dB are one bit. All but the dedicated copy share their "
      "bits with the exact weights.");
  add(figures, "draft_cosine",
      {{"Draft weights that point elsewhere", kNoIntervals, "kept bits", "1 - cosine"},
       by_reading(weights, [](const DraftError& error) { return 1 - error.cosine; }),
       1},
      "One less the cosine between draft weights and INT8 weights: an error that scaling the outputs cannot mend.");
}

void add_planes(std::vector<Figure>& figures, const WeightFigures& weights) {
  LineSeries coded{"two-state coded", category_colour(0), 0, false, {}};
  LineSeries additions{"additions with merging", category_colour(1), 1, false, {}};
  for (int bit = 0; bit < kWeightBits; ++bit) {
    const PlaneFigures& plane = weights.planes[static_cast<std::size_t>(bit)];
    const double x = bit;
    coded.points.push_back({x, plane.coded_bits, 0, std::nullopt, std::nullopt});
    additions.points.push_back({x, plane.merged_additions, 0, std::nullopt, std::nullopt});
  }
  add(figures, "plane_sizes",
      {{"What the planes of the weights cost, 7 is the sign", kNoIntervals, "bit", "share of the plain plane"},
       {coded, additions},
       1},
      "Below 1 a plane is shorter two-state coded than plain, or takes fewer additions where inputs of equal columns "
      "are "
      "added up first. Coding takes a bit as set where it differs from the sign.");
}

}  // namespace

std::vector<Figure> bit_slice_figures(const WeightFigures& weights) {
  std::vector<Figure> figures;
  add_values(figures, weights);
  add_slices(figures, weights);
  add_drafts(figures, weights);
  add_planes(figures, weights);
  return figures;
}

}  // namespace moecarlo
