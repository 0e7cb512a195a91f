#pragma once

#include <string>
#include <utility>
#include <vector>

namespace moecarlo::hw {

/// One projected row: what it is of, and every figure of it by name.
struct GoldenRow {
  std::string design;
  std::vector<std::pair<std::string, double>> figures;
};

/// Ten rows of every scheme on every system of the published comparison that it applies to, on made-up counts that the
/// same rule always makes: all models, batches, depths and bits in turn, two groups and a replicate.
std::vector<GoldenRow> golden_rows();

/// The published table's cells as `reproduce elmoe3d` has them, all with the same made-up acceptance.
std::vector<GoldenRow> golden_cells();

/// One line a row, `design|name=value name=value ...`, and back. Fourteen digits.
std::string to_text(const std::vector<GoldenRow>& rows);
std::vector<GoldenRow> rows_from_text(const std::string& text);

}  // namespace moecarlo::hw
