#include "host/support/csv_line.hpp"

namespace moecarlo {

std::vector<std::string> csv_fields(std::string_view line) {
  std::vector<std::string> fields{""};
  for (const char c : line) {
    if (c == '\r') continue;
    if (c == ',') {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  return fields;
}

}  // namespace moecarlo
