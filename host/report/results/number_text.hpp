#pragma once

#include <cstdint>
#include <string>

#include "host/statistics/estimate.hpp"

namespace moecarlo {

/// How numbers are written for people. Not finite: "n/a".

/// `significant` digits, trailing zeros dropped: 0.632, 12.3, 1,048,576, 4.5e-07.
std::string number_text(double value, int significant = 4);

/// Three digits with trailing zeros, for numbers that stand below each other: 0.620, 1.60, 16.0, 160.
std::string three_digits(double value);

/// A whole number with thousands separators.
std::string count_text(std::uint64_t value);

/// "2.134 ± 0.004 (simulation) ± 0.051 (trace)": digits follow the smaller half-width. A half-width of 0 (exact) is
/// written "± 0", one that is not available "± n/a".
std::string estimate_text(const Estimate& estimate);

/// Its two parts: "2.134" and "± 0.004 (simulation) ± 0.051 (trace)".
std::string estimate_value(const Estimate& estimate);
std::string estimate_intervals(const Estimate& estimate);

/// The same for a table cell, "2.134 ± 0.004 ± 0.051": simulation first, then trace; exact is "± 0".
std::string estimate_cell(const Estimate& estimate);

/// The estimate in another unit: value and half-widths times `factor` (> 0).
Estimate scaled(const Estimate& estimate, double factor);

}  // namespace moecarlo
