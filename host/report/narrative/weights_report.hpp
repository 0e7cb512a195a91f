#pragma once

#include <filesystem>
#include <string>

#include "host/weights/measure.hpp"

namespace moecarlo {

inline constexpr const char* kBitSliceSchema = "moecarlo-bitslice";
inline constexpr int kBitSliceSchemaVersion = 2;

/// All figures of all matrices, experts and layers: schema moecarlo-bitslice 2. What a study's `bit_slices` reads.
std::string bitslice_json(const WeightsMeasure& measure, const std::string& version);

/// The same as rows of scope (total, layer, expert, matrix), layer, expert, projection, kept bits, figure and value.
std::string bitslice_csv(const WeightsMeasure& measure);

/// Writes bitslice.json, bitslice.csv, counts.h5, report.html, report.md and figures/ into a folder that is made if
/// need be. Each file appears whole or not at all. Throws Error(machine) where the disk fails.
void write_weights_report(const WeightsMeasure& measure, const std::string& version,
                          const std::filesystem::path& directory);

}  // namespace moecarlo
