#include <algorithm>
#include <bit>
#include <mutex>
#include <span>

#include "cuda/core/bit_slice.hpp"
#include "host/support/parallel.hpp"
#include "host/weights/count_magnitudes.hpp"
#include "host/weights/format_counter.hpp"

namespace moecarlo {
namespace {

/// Adds up what pieces of some rows give, each piece on one thread.
template <class Counts, class CountRows>
void add_pieces(std::uint64_t rows, std::uint64_t step, unsigned threads, Counts& sum, const CountRows& count_rows) {
  std::mutex mutex;
  parallel_for((rows + step - 1) / step, threads, [&](std::uint64_t piece, unsigned) {
    const Counts counts = count_rows(piece * step, std::min(rows, (piece + 1) * step));
    const std::scoped_lock lock(mutex);
    sum += counts;
  });
}

ExponentCounts count_exponents(std::span<const float> weights) {
  ExponentCounts counts;
  for (const float weight : weights) {
    const auto bits = std::bit_cast<std::uint32_t>(weight);
    ++counts.bfloat16[bfloat16_exponent(bits)];
    ++counts.float16[float16_exponent(bits)];
  }
  return counts;
}

ZeroPointCounts count_zero_points(const MatrixFormats& formats) {
  const UnsignedWeights& own = formats.with_zero_point;
  ZeroPointCounts counts{scale_shift(*std::max_element(own.scales.begin(), own.scales.end())),
                         std::vector<std::uint64_t>(kRemainders * kRemainders),
                         std::vector<std::uint64_t>(kRemainders * kRemainders),
                         std::vector<std::uint64_t>(kDifferences)};
  for (std::uint64_t row = 0; row < formats.rows; ++row) {
    for (std::uint64_t column = 0; column < formats.columns; ++column) {
      const std::uint64_t group = row * formats.groups() + column / kScaleGroup;
      const std::uint64_t units = scale_units(own.scales[group], counts.scale_shift);
      const std::uint32_t q = own.weights[row * formats.columns + column], z = own.zero_points[group];
      const std::uint32_t bin = q % kRemainders * kRemainders + z % kRemainders;
      ++counts.counts[bin];
      counts.squared_scales[bin] += units * units;
      counts.difference_squares[kLargestUnsigned + q - z] += units * units;
    }
  }
  return counts;
}

class CpuFormatCounter final : public FormatCounter {
 public:
  explicit CpuFormatCounter(unsigned threads) : threads_(threads) {}

  FormatCounts count(const MatrixFormats& formats) override {
    FormatCounts counts;
    counts.by_group = magnitudes(formats, formats.by_group);
    if (formats.original.empty()) return counts;
    counts.by_channel = magnitudes(formats, formats.by_channel);
    const std::span<const float> original = formats.original;
    add_pieces(
        original.size(), std::uint64_t{1} << 18, threads_, counts.exponents,
        [&](std::uint64_t first, std::uint64_t end) { return count_exponents(original.subspan(first, end - first)); });
    counts.zero_point = count_zero_points(formats);
    return counts;
  }

 private:
  MagnitudeCounts magnitudes(const MatrixFormats& formats, const std::vector<std::int8_t>& weights) const {
    MagnitudeCounts counts = magnitude_shape(formats.rows, formats.columns);
    add_pieces(formats.rows, kMagnitudeRows, threads_, counts,
               [&](std::uint64_t first, std::uint64_t) { return count_magnitudes(weights, formats.columns, first); });
    return counts;
  }

  unsigned threads_;
};

}  // namespace

std::unique_ptr<FormatCounter> make_cpu_format_counter(unsigned threads) {
  return std::make_unique<CpuFormatCounter>(threads);
}

}  // namespace moecarlo
