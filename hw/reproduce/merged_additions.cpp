#include "hw/reproduce/merged_additions.hpp"

#include <bit>
#include <cmath>

namespace moecarlo::hw {
namespace {

/// The chance that something of this share occurs in any of so many columns.
double occurs(double share, double columns) {
  return 1 - std::pow(1 - share, columns);
}

}  // namespace

double merged_additions(double set_share, int rows, double columns) {
  double additions = columns * (1 - std::pow(1 - set_share, rows)) - rows * occurs(set_share, columns);
  for (unsigned pattern = 1; pattern < 1U << rows; ++pattern) {
    const int ones = std::popcount(pattern);
    additions += (ones - 1) * occurs(std::pow(set_share, ones) * std::pow(1 - set_share, rows - ones), columns);
  }
  return additions;
}

double set_additions(double set_share, int rows, double columns) {
  return rows * (columns * set_share - occurs(set_share, columns));
}

}  // namespace moecarlo::hw
