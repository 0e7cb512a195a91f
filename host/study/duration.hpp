#pragma once

#include <optional>
#include <string>

namespace moecarlo {

/// Seconds of a duration such as "90s", "20m", "1.5h" or plain seconds; none where the text is not one.
std::optional<double> parse_duration(const std::string& text);

}  // namespace moecarlo
