#pragma once

#include <toml++/toml.h>

#include <filesystem>
#include <string>
#include <vector>

#include "cuda/core/acceptance.hpp"
#include "host/study/acceptance.hpp"

namespace moecarlo {

class TableReader;

/// An acceptance model: its words and numbers in a study, and what it asks of the engines. Each has one row, in
/// acceptance_models.cpp; whoever must know every model goes through them.
struct AcceptanceRow {
  const char* name;
  Acceptance rule;  ///< what decides in the engines; by_position: `conditional`, else the trace
  AcceptanceTraits traits;

  /// The model's own keys of [acceptance]. Relative paths are taken from `folder`; `notes` are for the report.
  void (*read)(TableReader& table, AcceptanceSpec& acceptance, const std::filesystem::path& folder,
               std::vector<std::string>& notes);
  /// The same keys again.
  void (*write)(const AcceptanceSpec& acceptance, toml::table& table);
  /// Conditional acceptance of the first `depth` draft positions, 0 to 1, as far as the study says it; null where the
  /// trace decides.
  std::vector<double> (*conditional)(const AcceptanceSpec& acceptance, std::uint32_t depth);
};

const AcceptanceRow& row_of(AcceptanceModel model);

}  // namespace moecarlo
