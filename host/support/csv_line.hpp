#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace moecarlo {

/// The fields of a line, as they stand between its commas; for tables without quotes. A carriage return is left out.
std::vector<std::string> csv_fields(std::string_view line);

}  // namespace moecarlo
