#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace moecarlo {

/// The fields of a line (RFC 4180, fields of one line): what stands in quotes may have commas, and two quotes are one.
/// A carriage return is left out.
std::vector<std::string> csv_fields(std::string_view line);

}  // namespace moecarlo
