#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "host/statistics/results.hpp"

namespace moecarlo::hw {

/// One row of a preset: a number and where it comes from.
struct Constant {
  std::string key;     ///< table and name, e.g. "hb.bandwidth"
  double value = 0;    ///< in `unit`
  std::string unit;    ///< one of the units that unit_factor knows
  std::string status;  ///< "published", "derived" or "assumed"
  std::string source;  ///< paper and place, or the reason for an assumption
  std::uint32_t line = 0;
};

/// All constants of one system or model, as read. Nothing is interpreted yet; PresetReader does that.
struct Preset {
  std::string name;
  std::string file;
  std::vector<Constant> constants;
};

/// Where presets are looked up, in this order: the folders of $MOECARLO_PRESETS (separated by ':'), then those that
/// ship with the program.
std::vector<std::filesystem::path> preset_folders();

/// The file that `name` stands for: itself when it names a path (a '/' or ".toml"), else `name`.toml in the first of
/// preset_folders() whose folder `kind` ("systems", "models", "schemes") has it.
/// Throws usage, listing the known names.
std::filesystem::path find_preset(std::string_view kind, const std::string& name);

/// Reads a TOML file of tables whose entries are rows { value, unit, status, source }. Anything else is refused (usage)
/// with file, line and key.
Preset read_preset(const std::filesystem::path& file);

/// The same preset with another value of one constant, or with one multiplied. Throws usage where `key` is not there.
Preset with_value(Preset preset, std::string_view key, double value);
Preset scaled(Preset preset, std::string_view key, double factor);

/// The constants for the report, named "preset: key".
std::vector<AssumedConstant> list_constants(const Preset& preset);

/// Takes constants out of a preset by key, in SI units, and refuses (usage) what is missing, out of range, in another
/// unit, or never asked for. The preset must outlive the reader.
class PresetReader {
 public:
  explicit PresetReader(const Preset& preset) : preset_(preset) {}

  /// True when any constant of `table` is there.
  bool has_table(std::string_view table) const;
  bool has(std::string_view key) const;
  std::vector<std::string> names(std::string_view table) const;  ///< of its constants, in the preset's order

  double positive(std::string_view key, std::string_view unit);
  double not_negative(std::string_view key, std::string_view unit);
  double share(std::string_view key);          ///< in (0, 1], unit "share"
  double share_or_none(std::string_view key);  ///< in [0, 1], unit "share"
  std::uint32_t count(std::string_view key);   ///< a whole number from 1, unit "count"
  bool yes(std::string_view key);              ///< 1 or 0, unit "count"

  /// Refuses the first constant that nobody asked for.
  void finish() const;

 private:
  const Constant& take(std::string_view key, std::string_view unit);
  [[noreturn]] void refuse(const Constant& constant, std::string_view expected) const;

  const Preset& preset_;
  std::set<std::string, std::less<>> taken_;
};

}  // namespace moecarlo::hw
