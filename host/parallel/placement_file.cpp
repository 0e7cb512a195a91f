#include "host/parallel/placement_file.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "host/support/csv_line.hpp"
#include "host/support/error.hpp"
#include "host/support/text_file.hpp"

namespace moecarlo {
namespace {

constexpr std::uint64_t kMostBytes = 64 << 20;

std::uint32_t number_below(const std::string& field, std::uint32_t end, const char* name, const std::string& where) {
  std::uint32_t number = 0;
  const auto [rest, error] = std::from_chars(field.data(), field.data() + field.size(), number);
  if (error != std::errc() || rest != field.data() + field.size() || number >= end) {
    fail(ErrorKind::input, "{}: {} {} (expected 0 to {})", where, name, field, end - 1);
  }
  return number;
}

}  // namespace

std::vector<Placement> read_placement(const std::filesystem::path& path, std::uint32_t layers, std::uint32_t experts,
                                      std::uint32_t devices) {
  std::istringstream lines(read_text_file(path, ErrorKind::input, "a placement: layer,expert,device", kMostBytes));
  std::string line;
  std::getline(lines, line);
  const std::vector<std::string> header = csv_fields(line);
  const bool by_layer = header == std::vector<std::string>{"layer", "expert", "device"};
  if (!by_layer && header != std::vector<std::string>{"expert", "device"}) {
    fail(ErrorKind::input, "{}: line 1: {} (expected layer,expert,device or expert,device)", path.string(), line);
  }
  std::vector<Placement> placements(by_layer ? layers : 1, Placement(experts));
  for (std::size_t number = 2; std::getline(lines, line); ++number) {
    const std::string where = fmt::format("{}: line {}", path.string(), number);
    const std::vector<std::string> fields = csv_fields(line);
    if (fields.size() != header.size()) {
      fail(ErrorKind::input, "{}: {} fields (expected {})", where, fields.size(), header.size());
    }
    const std::uint32_t layer = by_layer ? number_below(fields[0], layers, "layer", where) : 0;
    const std::uint32_t expert = number_below(fields[fields.size() - 2], experts, "expert", where);
    const std::uint32_t device = number_below(fields.back(), devices, "device", where);
    std::vector<std::uint32_t>& copies = placements[layer][expert];
    if (std::find(copies.begin(), copies.end(), device) != copies.end()) {
      fail(ErrorKind::input, "{}: expert {} on device {} (expected once)", where, expert, device);
    }
    copies.push_back(device);
  }
  for (std::size_t layer = 0; layer < placements.size(); ++layer) {
    for (std::uint32_t expert = 0; expert < experts; ++expert) {
      if (placements[layer][expert].empty()) {
        fail(ErrorKind::input, "{}: layer {}: no device for expert {} (expected one or more)", path.string(), layer,
             expert);
      }
    }
  }
  if (!by_layer) placements.resize(layers, placements[0]);
  return placements;
}

}  // namespace moecarlo
