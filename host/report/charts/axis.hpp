#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace moecarlo {

/// A numeric axis; the distance of ticks is 1, 2 or 5 times a power of ten.
struct Axis {
  double low = 0, high = 1;
  std::vector<double> ticks;  ///< ascending, all in low .. high
  int decimals = 0;           ///< that tell neighbouring ticks apart

  /// Where a value lies: 0 at `low`, 1 at `high`.
  double fraction(double value) const { return (value - low) / (high - low); }
  std::string label(double tick) const;
};

/// The axis that covers low .. high in at most about `intervals` steps and begins and ends on a tick, never finer than
/// `smallest_step` (1 for counts; 0 for no limit). Equal or non-finite limits give an axis of one step.
Axis nice_axis(double low, double high, int intervals, double smallest_step = 0);

/// The same ticks on an axis that begins at `low` and ends at `high`.
Axis tight_axis(double low, double high, int intervals, double smallest_step = 0);

/// The axis of categories 0 .. count - 1: each is one wide and centred on its number; at most about 30 carry a tick.
Axis category_axis(std::size_t count);

}  // namespace moecarlo
