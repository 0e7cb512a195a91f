#include "host/weights/weight_figures.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "host/weights/huffman.hpp"

namespace moecarlo {
namespace {

int weight_in(int bin) {
  return static_cast<std::int8_t>(bin);
}

double share(std::uint64_t part, double whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / whole;
}

SliceFigures slice_figures(const std::vector<std::uint64_t>& histogram, int width) {
  SliceFigures figures;
  const auto all = static_cast<double>(std::accumulate(histogram.begin(), histogram.end(), std::uint64_t{0}));
  std::uint64_t ones = 0;
  for (std::size_t value = 0; value < histogram.size(); ++value) {
    ones += histogram[value] * static_cast<std::uint64_t>(std::popcount(value));
  }
  figures.zero_share = share(histogram[0], all);
  figures.zero_bit_share = width == 0 || all == 0 ? 0 : 1 - share(ones, all * width);
  figures.entropy_bits = entropy_bits(histogram);
  return figures;
}

double coded_bits(const WeightFigures& figures, int first, int last) {
  double bits = 0;
  for (int bit = first; bit <= last; ++bit) {
    bits += std::min(1.0, figures.planes[static_cast<std::size_t>(bit)].coded_bits);
  }
  return bits;
}

/// Bits behind the sign, at most `most` of each weight, that only repeat it.
double sign_extension_share(const WeightFigures& figures, int kept) {
  std::uint64_t bits = 0;
  for (int bin = 0; bin < kBins; ++bin) {
    bits += figures.values[static_cast<std::size_t>(bin)] *
            static_cast<std::uint64_t>(std::min(sign_extension(weight_in(bin)), kept - 1));
  }
  return share(bits, static_cast<double>(figures.weights) * kept);
}

double decibel(double signal, double noise) {
  return 10 * std::log10(signal / noise);
}

/// An error-free draft has an infinite SQNR, one of nothing but zeros has none; neither is a number.
DraftError draft_error(double mse, double signal, double noise, double product, double energy) {
  DraftError error;
  error.mse = mse;
  if (signal > 0 && noise > 0) error.sqnr_db = decibel(signal, noise);
  if (signal > 0 && energy > 0) error.cosine = product / std::sqrt(signal * energy);
  return error;
}

double signal_of(const WeightSums& sums) {
  double signal = 0;
  for (int bin = 0; bin < kBins; ++bin) {
    signal += sums.squared_scales[static_cast<std::size_t>(bin)] * weight_in(bin) * weight_in(bin);
  }
  return signal;
}

template <class Read>
DraftError slice_error(const WeightSums& sums, double weights, const Read& read) {
  std::uint64_t squared_errors = 0;
  double noise = 0, product = 0, energy = 0;
  for (int bin = 0; bin < kBins; ++bin) {
    const auto at = static_cast<std::size_t>(bin);
    const int weight = weight_in(bin), value = read(weight), error = weight - value;
    squared_errors += sums.values[at] * static_cast<std::uint64_t>(error * error);
    noise += sums.squared_scales[at] * error * error;
    product += sums.squared_scales[at] * weight * value;
    energy += sums.squared_scales[at] * value * value;
  }
  return draft_error(share(squared_errors, weights), signal_of(sums), noise, product, energy);
}

DraftError copy_error(const WeightSums& sums, double weights, int bits) {
  const CopySums& copy = sums.copies[static_cast<std::size_t>(bits)];
  const double steps = largest_of(bits);
  return draft_error(share(copy.squared_errors, weights * steps * steps), signal_of(sums), copy.noise, copy.product,
                     copy.energy);
}

KeptFigures kept_figures(const WeightSums& sums, const WeightFigures& figures, int kept) {
  KeptFigures found;
  found.kept = kept;
  found.upper = slice_figures(upper_histogram(figures, kept), kept);
  found.lower = slice_figures(lower_histogram(figures, kept), kWeightBits - kept);
  found.upper.coded_bits = coded_upper_bits(figures, kept);
  found.lower.coded_bits = coded_bits(figures, 0, kWeightBits - 1 - kept);
  found.sign_extension_share = sign_extension_share(figures, kept);
  found.conditional_entropy_bits = std::max(0.0, figures.entropy_bits - found.upper.entropy_bits);
  const auto weights = static_cast<double>(figures.weights);
  found.drafts = {slice_error(sums, weights, [&](int weight) { return truncated(weight, kept); }),
                  slice_error(sums, weights, [&](int weight) { return rounded(weight, kept); }),
                  slice_error(sums, weights, [&](int weight) { return lsb_augmented(weight, kept); }),
                  kept == 1 ? DraftError{} : copy_error(sums, weights, kept)};
  return found;
}

PlaneFigures plane_figures(const PlaneCounts& counts, const WeightSums& sums, std::uint64_t weights) {
  std::uint64_t ones = 0, distinct = 0, additions = 0;
  for (std::uint64_t pattern = 0; pattern < kPatterns; ++pattern) {
    const auto rows = static_cast<std::uint64_t>(std::popcount(pattern));
    ones += rows * counts.columns[pattern];
    distinct += counts.groups[pattern];
    if (pattern > 0) additions += counts.columns[pattern] + rows * counts.groups[pattern];
  }
  PlaneFigures figures;
  figures.one_share = share(ones, static_cast<double>(weights));
  figures.coded_bits = share(sums.group_columns + kPatternRows * counts.spelled_columns, static_cast<double>(weights));
  figures.distinct_patterns = share(distinct, static_cast<double>(sums.row_groups));
  figures.merged_additions = share(additions, static_cast<double>(ones));
  return figures;
}

}  // namespace

const char* to_string(DraftReading reading) {
  switch (reading) {
    case DraftReading::truncate:
      return "truncate";
    case DraftReading::round:
      return "round";
    case DraftReading::lsb_augmented:
      return "lsb_augmented";
    case DraftReading::dedicated:
      break;
  }
  return "dedicated";
}

std::vector<std::uint64_t> upper_histogram(const WeightFigures& figures, int kept) {
  std::vector<std::uint64_t> histogram(std::size_t{1} << kept);
  for (int bin = 0; bin < kBins; ++bin) {
    histogram[static_cast<std::size_t>(bin >> (kWeightBits - kept))] += figures.values[static_cast<std::size_t>(bin)];
  }
  return histogram;
}

std::vector<std::uint64_t> lower_histogram(const WeightFigures& figures, int kept) {
  std::vector<std::uint64_t> histogram(std::size_t{1} << (kWeightBits - kept));
  for (int bin = 0; bin < kBins; ++bin) {
    histogram[static_cast<std::size_t>(lower_slice(bin, kept))] += figures.values[static_cast<std::size_t>(bin)];
  }
  return histogram;
}

double coded_upper_bits(const WeightFigures& figures, int kept) {
  return coded_bits(figures, kWeightBits - kept, kWeightBits - 1);
}

double skipped_share(const WeightFigures& figures, int kept, int pass_bits) {
  std::uint64_t skipped = 0, passes = 0;
  for (int high = kWeightBits; high > kWeightBits - kept; high -= pass_bits) {
    const int low = std::max(high - pass_bits, kWeightBits - kept), mask = (1 << high) - (1 << low);
    for (int bin = 0; bin < kBins; ++bin) {
      if ((bin & mask) == 0) skipped += figures.values[static_cast<std::size_t>(bin)];
    }
    ++passes;
  }
  return share(skipped, static_cast<double>(passes * figures.weights));
}

WeightFigures figures_of(const WeightSums& sums, const std::vector<int>& kept) {
  WeightFigures figures;
  figures.values = sums.values;
  figures.weights = std::accumulate(sums.values.begin(), sums.values.end(), std::uint64_t{0});
  figures.entropy_bits = entropy_bits(sums.values);
  figures.sign_extension_share = sign_extension_share(figures, kWeightBits);
  for (std::size_t bit = 0; bit < kWeightBits; ++bit) {
    figures.planes[bit] = plane_figures(sums.planes[bit], sums, figures.weights);
  }
  for (const int bits : kept) figures.kept.push_back(kept_figures(sums, figures, bits));
  return figures;
}

}  // namespace moecarlo
