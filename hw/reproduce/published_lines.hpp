#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace moecarlo::hw {

/// A line of a table of published figures.
struct PublishedLine {
  std::string place;  ///< "file:line", for messages
  std::vector<std::string> fields;

  double number(std::size_t field, const char* name) const;        ///< above 0
  double percent(std::size_t field, const char* name) const;       ///< a change, above -100
  std::uint32_t count(std::size_t field, const char* name) const;  ///< a whole number from 1

 private:
  double above(double least, std::size_t field, const char* name) const;
};

/// The lines below this header. Throws input with file and line for another header, or another number of fields.
std::vector<PublishedLine> read_published_lines(const std::filesystem::path& file, const std::string& header);

}  // namespace moecarlo::hw
