#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "hw/presets/preset.hpp"

namespace moecarlo::hw {

/// A line of a table of published figures.
struct PublishedLine {
  std::string place;  ///< "file:line", for messages
  std::vector<std::string> fields;

  double number(std::size_t field, const char* name) const;                         ///< above 0
  double signed_number(std::size_t field, const char* name) const;                  ///< any
  std::optional<double> number_or_none(std::size_t field, const char* name) const;  ///< above 0; none where it is empty
  std::uint32_t count(std::size_t field, const char* name) const;                   ///< a whole number from 1
};

/// The lines below this header. Throws input with file and line for another header, or another number of fields.
std::vector<PublishedLine> read_published_lines(const std::filesystem::path& file, const std::string& header);

/// The first line of a table.
std::string published_header(const std::filesystem::path& file);

/// The model that a table names: a config.json, or a folder that holds one, beside the table; else the preset of this
/// name, or the one whose name begins so, in letters of either case. Throws usage where there is none, or more than
/// one.
Preset published_model(const std::filesystem::path& table, const std::string& name);

/// The same model with its weights, and with its keys and values, in so many bits each and without scales.
Preset in_bits(Preset model, double bits);

}  // namespace moecarlo::hw
