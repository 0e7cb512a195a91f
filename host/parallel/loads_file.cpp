#include "host/parallel/loads_file.hpp"

#include <charconv>
#include <cmath>
#include <numeric>
#include <sstream>

#include "host/support/csv_line.hpp"
#include "host/support/text_file.hpp"

namespace moecarlo {
namespace {

constexpr std::uint64_t kMostBytes = 256 << 20;

double load_in(const std::string& field, const std::string& where) {
  double load = -1;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), load);
  const bool whole = error == std::errc() && end == field.data() + field.size();
  if (!whole || !std::isfinite(load) || load < 0) {
    fail(ErrorKind::input, "{}: {} (expected tokens, a number of 0 or more)", where, field);
  }
  return load;
}

}  // namespace

std::vector<ExpertLoads> read_loads(const std::filesystem::path& path) {
  std::istringstream lines(read_text_file(path, ErrorKind::input, "a table of loads", kMostBytes));
  std::vector<ExpertLoads> rows;
  std::string line;
  bool named = false;  // the first column is the layer
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    if (line.empty() || line == "\r") continue;
    std::vector<std::string> fields = csv_fields(line);
    if (number == 1 && fields.front() == "layer") {
      named = true;
      continue;
    }
    if (named) fields.erase(fields.begin());
    ExpertLoads loads;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      loads.push_back(load_in(fields[i], fmt::format("{}: line {}, expert {}", path.string(), number, i)));
    }
    if (!rows.empty() && loads.size() != rows.front().size()) {
      fail(ErrorKind::input, "{}: line {}: {} experts (expected {}, as above)", path.string(), number, loads.size(),
           rows.front().size());
    }
    if (std::accumulate(loads.begin(), loads.end(), 0.0) == 0) {
      fail(ErrorKind::input, "{}: line {}: no tokens (expected some)", path.string(), number);
    }
    rows.push_back(std::move(loads));
  }
  if (rows.empty()) fail(ErrorKind::input, "{}: no loads (expected a row for each layer)", path.string());
  return rows;
}

}  // namespace moecarlo
