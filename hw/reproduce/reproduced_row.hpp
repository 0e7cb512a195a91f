#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hw/presets/preset.hpp"

namespace moecarlo::hw {

enum class Verdict {
  met,     ///< within the tolerance
  missed,  ///< not
  open,    ///< cannot be judged: what it rests on is not published
};
const char* to_string(Verdict verdict);  ///< as it is printed: "cannot be judged"

/// A published figure beside ours.
struct ReproducedRow {
  std::string quantity, conditions, unit;
  double published = 0;
  std::optional<double> ours;        ///< none where nothing that is published gives one
  std::optional<double> half_width;  ///< of ours, where it is counted
  double tolerance = 0;              ///< relative; of a bound 0: ours may not be on its wrong side
  std::vector<std::string> assumed;  ///< constants that nobody published
  Verdict verdict = Verdict::open;
  std::string reason;  ///< where it is missed or cannot be judged
};

/// A published figure.
struct Claim {
  std::string quantity, conditions, unit;
  double published = 0;
};

/// Met where ours is this near; `reason` is kept where it is not.
ReproducedRow compare(Claim claim, double ours, double tolerance, std::vector<std::string> assumed = {},
                      std::string reason = {});

/// Ours is a roof: met where what is published is not above it. Or a floor: met where it is not below.
ReproducedRow compare_roof(Claim claim, double roof, std::vector<std::string> assumed = {}, std::string reason = {});
ReproducedRow compare_floor(Claim claim, double floor, std::vector<std::string> assumed = {}, std::string reason = {});

/// What it rests on is not published.
ReproducedRow leave_open(Claim claim, std::optional<double> ours, std::string reason,
                         std::vector<std::string> assumed = {});

/// The constants of a preset that are assumed or fitted, by key, `PRESET: ` before it where `named`.
std::vector<std::string> assumed_of(const Preset& preset, bool named = false);

/// Lists one after the other.
std::vector<std::string> joined(std::vector<std::string> first, const std::vector<std::string>& second);

}  // namespace moecarlo::hw
