#pragma once

#include <optional>
#include <string>
#include <vector>

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
  double published = 0, ours = 0;    ///< ours NaN: there is none
  std::optional<double> half_width;  ///< of ours, where it is counted
  double tolerance = 0;              ///< relative; of a bound 0: ours may not be below
  std::vector<std::string> assumed;  ///< constants that nobody published
  Verdict verdict = Verdict::open;
  std::string reason;  ///< where it is missed or cannot be judged
};

}  // namespace moecarlo::hw
