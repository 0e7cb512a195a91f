#pragma once

#include <memory>

#include "host/weights/slice_counter.hpp"

namespace moecarlo {

/// Counts the slices of row groups first .. last - 1 of a matrix (kPatternRows rows each) on this thread.
SliceCounts count_slices(const WeightMatrix& matrix, std::uint64_t first, std::uint64_t last);

/// The same for whole matrices on so many threads, 0 = all cores.
std::unique_ptr<SliceCounter> make_cpu_slice_counter(unsigned threads);

}  // namespace moecarlo
