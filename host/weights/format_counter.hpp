#pragma once

#include <memory>

#include "host/weights/format_counts.hpp"
#include "host/weights/matrix_formats.hpp"

namespace moecarlo {

/// Counts a matrix in other formats, on the CPU or on a device: the same integers on both.
class FormatCounter {
 public:
  virtual ~FormatCounter() = default;
  virtual FormatCounts count(const MatrixFormats& formats) = 0;
};

/// On so many threads, 0 = all cores.
std::unique_ptr<FormatCounter> make_cpu_format_counter(unsigned threads);

}  // namespace moecarlo
