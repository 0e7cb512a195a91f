#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/statistics/results.hpp"

namespace moecarlo::hw {

/// What may be said of where a constant comes from: the source says so, it follows from what the source says, our
/// choice with its reason, somebody measured it, or it was fitted to measurements.
constexpr std::array<std::string_view, 5> kStatuses{"published", "derived", "assumed", "measured", "fitted"};

/// One row of a preset: a number and where it comes from.
struct Constant {
  std::string key;     ///< table and name, e.g. "hb.bandwidth"
  double value = 0;    ///< in `unit`
  std::string unit;    ///< see units.hpp
  std::string status;  ///< one of kStatuses
  std::string source;  ///< paper and place, or the reason for an assumption
  std::uint32_t line = 0;
  std::string file{};                                ///< where it stands, if not in the preset's own
  std::optional<std::pair<double, double>> range{};  ///< low, high: within which an assumption may lie, in `unit`
};

/// A key of a preset that is no number: how the things of a system hang together.
struct PresetWord {
  std::string key;                  ///< table and name, e.g. "hb.kind"
  std::vector<std::string> values;  ///< one, or those of a list
  std::uint32_t line = 0;
  std::string file{};  ///< as Constant::file
};

/// All of one system or model, as read. Nothing is interpreted yet; PresetReader does that.
struct Preset {
  std::string name;
  std::string file;
  std::vector<Constant> constants;
  std::vector<PresetWord> settings{};
};

/// Where presets are looked up, in this order: the folders of $MOECARLO_PRESETS (separated by ':'), then those that
/// ship with the program.
std::vector<std::filesystem::path> preset_folders();

/// The names of all presets of a kind, sorted.
std::vector<std::string> preset_names(std::string_view kind);

/// The file that `name` stands for: itself when it names a path (a '/' or ".toml"), else `name`.toml in the first of
/// preset_folders() whose folder `kind` ("systems", "models", "schemes") has it.
/// Throws usage, listing the known names.
std::filesystem::path find_preset(std::string_view kind, const std::string& name);

/// Reads a TOML file of tables whose entries are rows { value, unit, status, source }, a `range = [low, high]` among
/// them or not, or texts and lists of them.
/// `extends = "name"` before the tables takes over another preset of the same kind (or a file beside this one): what
/// stands here replaces what has the same key there. Anything else is refused (usage) with file, line and key.
Preset read_preset(const std::filesystem::path& file);

/// The same preset with the constant as the text says: a number with or without a unit of its dimension. Its status is
/// then assumed. Throws usage where the constant is not there or the text is no such number.
Preset with_text(Preset preset, std::string_view key, const std::string& text);

bool has_constant(const Preset& preset, std::string_view key);

/// The same preset with another value of one constant, or with one multiplied. Throws usage where `key` is not there.
Preset with_value(Preset preset, std::string_view key, double value);
Preset scaled(Preset preset, std::string_view key, double factor);

/// The constants for the report, named "preset: key".
std::vector<AssumedConstant> list_constants(const Preset& preset);

/// Takes constants out of a preset by key, in SI units, and refuses (usage) what is missing, out of range, of another
/// dimension than `unit`, or never asked for. The preset must outlive the reader.
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
  const std::string& status(std::string_view key) const;

  /// The tables whose setting `name` is `value`, in the preset's order.
  std::vector<std::string> tables_with(std::string_view name, std::string_view value) const;
  bool has_setting(std::string_view key) const;
  std::string text(std::string_view key);  ///< one word
  std::vector<std::string> texts(std::string_view key);
  /// A usage error about a setting, with its place.
  [[noreturn]] void refuse_setting(std::string_view key, std::string_view expected) const;

  /// Refuses the first constant that nobody asked for.
  void finish() const;

 private:
  double take(std::string_view key, std::string_view unit, const Constant*& constant);
  const PresetWord& setting(std::string_view key) const;
  [[noreturn]] void refuse(const Constant& constant, std::string_view expected) const;

  const Preset& preset_;
  std::set<std::string, std::less<>> taken_;  ///< constants and settings
};

}  // namespace moecarlo::hw
