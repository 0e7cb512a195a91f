#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "host/weights/weight_sums.hpp"

namespace moecarlo {

/// How a draft reads weights of which it has `kept` bits: the upper slice in one of three ways, or a separate copy of
/// so many bits; see cuda/core/bit_slice.hpp.
enum class DraftReading { truncate, round, lsb_augmented, dedicated };
constexpr std::array<DraftReading, 4> kDraftReadings{DraftReading::truncate, DraftReading::round,
                                                     DraftReading::lsb_augmented, DraftReading::dedicated};
const char* to_string(DraftReading reading);  ///< "truncate", ...

/// A draft against the INT8 weights. SQNR and cosine are of the weights themselves, scales included.
struct DraftError {
  double mse = std::numeric_limits<double>::quiet_NaN();  ///< in squares of an INT8 step, scales left out
  double sqnr_db = std::numeric_limits<double>::quiet_NaN();
  double cosine = std::numeric_limits<double>::quiet_NaN();
};

/// One slice of all weights. Shares are 0 .. 1, sizes in bits per weight.
struct SliceFigures {
  double zero_share = 0;      ///< slices that are zero: a multiplication by one can be skipped
  double zero_bit_share = 0;  ///< of its bits
  double entropy_bits = 0;
  double coded_bits = 0;  ///< its planes two-state coded, each where that is shorter
};

/// All about a number of kept bits.
struct KeptFigures {
  int kept = 0;  ///< 1 .. 8; of a copy of one bit and of no lower bits there are no figures
  SliceFigures upper, lower;
  double sign_extension_share = 0;                       ///< of the upper slice's bits: those that only repeat the sign
  double conditional_entropy_bits = 0;                   ///< of the lower slice where the upper one is known
  std::array<DraftError, kDraftReadings.size()> drafts;  ///< by DraftReading
};

/// One bit plane.
///
/// Two-state coding (MCBP, arXiv 2509.10372, BSTC): a column of four rows is one bit where all are zero, else a bit and
/// the four. Here a bit is zero if it equals its weight's sign, which the slice of the sign tells: so the bits that
/// only extend the sign cost nothing, and the code loses nothing.
///
/// Merging (BRCR): inputs whose columns show the same pattern are added up once, then each row adds the sums of the
/// patterns that it is part of.
struct PlaneFigures {
  double one_share = 0;
  double coded_bits = 1;         ///< bits per weight two-state coded; more than 1 where coding does not pay
  double distinct_patterns = 0;  ///< of 16, mean over row groups
  double merged_additions = 0;   ///< additions with merging / additions of one input for every set bit
};

/// What the bits of some weights are worth.
struct WeightFigures {
  std::uint64_t weights = 0;
  std::array<std::uint64_t, kBins> values{};  ///< histogram: weight w in bin (w + 256) % 256
  double entropy_bits = 0;
  double sign_extension_share = 0;                 ///< of all eight bits: those that only repeat the sign
  std::vector<KeptFigures> kept;                   ///< ascending
  std::array<PlaneFigures, kWeightBits> planes{};  ///< by bit, the sign is 7
};

/// `kept`: ascending, 1 .. 8.
WeightFigures figures_of(const WeightSums& sums, const std::vector<int>& kept);

/// The histogram of a slice: bin i counts the slices that hold i, of upper slices read as unsigned numbers.
std::vector<std::uint64_t> upper_histogram(const WeightFigures& figures, int kept);
std::vector<std::uint64_t> lower_histogram(const WeightFigures& figures, int kept);

/// Bits per weight of the upper slice, two-state coded where that is shorter.
double coded_upper_bits(const WeightFigures& figures, int kept);

/// Share of the multiplications by the upper slice that can be skipped on a machine that takes `pass_bits` of its bits
/// at a time, from the sign on: those where all bits of a pass are zero.
double skipped_share(const WeightFigures& figures, int kept, int pass_bits);

}  // namespace moecarlo
