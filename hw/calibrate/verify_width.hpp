#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace moecarlo::hw {

/// A pass over so many rows that somebody timed.
struct WidthRow {
  std::string place;           ///< "file:line"
  std::string model, machine;  ///< as written: "GLM-4.7-Flash 4 bit", "M3 Max"
  std::uint32_t width = 1;
  double milliseconds = 0;
};

/// Reads a CSV with the header model,machine,verify_width,milliseconds,shares_reads; the last says what the engine's
/// kernels do, where that is known, and is not used. Throws input with file and line, also where a model on a machine
/// has no row of width 1.
std::vector<WidthRow> read_width_rows(const std::filesystem::path& file);
bool holds_width_rows(const std::filesystem::path& file);

/// A row as a ratio to width 1 of its model on its machine, between a pass whose kernels read each weight once and one
/// whose kernels read it for every row.
struct WidthPoint {
  WidthRow row;
  double measured = 1, ours = 1, low = 1, high = 1;  ///< ours: as the machine's preset reads
  std::string verdict;                               ///< pass, fail, not sure or cannot be judged; of width 1 empty
  std::string reason;
};

/// What the judgement takes for granted.
struct WidthSetup {
  double zipf = 1;           ///< popularity of the experts, tokens independent of each other
  double context = 1024;     ///< cached tokens
  double uncertainty = 0.1;  ///< of a measured ratio
};

/// A row passes within the bounds, is not sure where only its uncertainty reaches them, and fails beyond. It cannot be
/// judged where its model or its machine is no preset: "NAME N bit" is the preset of that name with weights of N bits.
std::vector<WidthPoint> judge_widths(const std::vector<WidthRow>& rows, const WidthSetup& setup);

}  // namespace moecarlo::hw
