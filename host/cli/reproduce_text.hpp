#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "hw/reproduce/reproduce.hpp"

namespace moecarlo::cli {

/// A speed-up cell of either mode: how far ours is from what was published.
struct Column {
  const char* name;
  std::optional<double> (*ours)(const hw::ReproducedCell&);
  std::optional<double> (*published)(const hw::ReproducedCell&);

  std::optional<double> error(const hw::ReproducedCell& cell) const;
};

/// Without drafting by law and counted, then with drafting.
extern const std::array<Column, 4> kColumns;

std::optional<double> published_ar(const hw::ReproducedCell& cell);
std::optional<double> published_sd(const hw::ReproducedCell& cell);

hw::TableErrors errors_of(const std::vector<hw::ReproducedCell>& cells, const Column& column,
                          const std::string& scheme);

/// What published means cover and ours do not.
constexpr const char* kMissingDatasets =
    "the paper's other datasets, whose acceptances are not in the table, and cells without one";

/// In order of appearance.
std::vector<std::string> schemes_of(const std::vector<hw::ReproducedCell>& cells);

/// Prints all cells, their errors, the energy, and the counted cells of the models that were counted on a trace.
void print_reproduction(const hw::TableLaws& laws, const std::vector<hw::ReproducedCell>& cells,
                        const std::vector<std::string>& traced_models);

}  // namespace moecarlo::cli
