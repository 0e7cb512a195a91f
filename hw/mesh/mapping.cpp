#include "hw/mesh/mapping.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <sstream>
#include <stdexcept>

#include "host/support/csv_line.hpp"
#include "host/support/error.hpp"
#include "host/support/text_file.hpp"

namespace moecarlo::hw {
namespace {

constexpr std::uint64_t kMostBytes = 16 << 20;

struct Size {
  std::uint32_t columns = 1, rows = 1;
};

/// The rectangle of so many devices that tiles the mesh and is nearest to a square, wide rather than high.
std::optional<Size> rectangle(std::uint32_t area, std::uint32_t columns, std::uint32_t rows) {
  std::optional<Size> best;
  for (std::uint32_t high = 1; high <= area && high <= rows; ++high) {
    const std::uint32_t wide = area / high;
    if (wide * high != area || wide > columns || columns % wide != 0 || rows % high != 0 || high > wide) continue;
    best = Size{wide, high};
  }
  if (best) return best;
  for (std::uint32_t wide = 1; wide <= area && wide <= columns; ++wide) {  // none lies: one that stands
    const std::uint32_t high = area / wide;
    if (wide * high == area && high <= rows && columns % wide == 0 && rows % high == 0) best = Size{wide, high};
  }
  return best;
}

/// Places of a rectangle, row by row, in an order in which neighbours are adjacent, and the last is beside the first
/// where a side is even.
std::vector<std::uint32_t> ring_order(Size size) {
  std::vector<std::uint32_t> order(std::size_t{size.columns} * size.rows);
  std::uint32_t next = 0;
  const auto visit = [&](std::uint32_t column, std::uint32_t row) { order[row * size.columns + column] = next++; };
  if (size.columns == 1 || size.rows == 1 || size.rows % 2 != 0) {
    if (size.columns % 2 == 0 && size.rows > 1) {  // the other side is even: the same, turned
      const std::vector<std::uint32_t> turned = ring_order({size.rows, size.columns});
      for (std::uint32_t row = 0; row < size.rows; ++row) {
        for (std::uint32_t column = 0; column < size.columns; ++column) {
          order[row * size.columns + column] = turned[column * size.rows + row];
        }
      }
      return order;
    }
    for (std::uint32_t row = 0; row < size.rows; ++row) {
      for (std::uint32_t i = 0; i < size.columns; ++i) visit(row % 2 == 0 ? i : size.columns - 1 - i, row);
    }
    return order;
  }
  for (std::uint32_t column = 0; column < size.columns; ++column) visit(column, 0);
  for (std::uint32_t row = 1; row < size.rows; ++row) {
    for (std::uint32_t i = 1; i < size.columns; ++i) visit(row % 2 == 1 ? size.columns - i : i, row);
  }
  for (std::uint32_t row = size.rows; row-- > 1;) visit(0, row);  // back along the first column
  return order;
}

/// Cuts the mesh into rectangles: of each device, which one it is in, and its place in it.
struct Tile {
  std::uint32_t tile, place;
};
std::vector<Tile> tiles(const Topology& topology, Size size) {
  const std::vector<std::uint32_t> inside = ring_order(size);
  const Size tiling{topology.columns() / size.columns, topology.rows() / size.rows};
  const std::vector<std::uint32_t> of_tiles = ring_order(tiling);
  std::vector<Tile> found;
  for (std::uint32_t row = 0; row < topology.rows(); ++row) {
    for (std::uint32_t column = 0; column < topology.columns(); ++column) {
      found.push_back({of_tiles[row / size.rows * tiling.columns + column / size.columns],
                       inside[row % size.rows * size.columns + column % size.columns]});
    }
  }
  return found;
}

std::uint32_t number_in(const std::string& field, const std::string& where) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), number);
  if (error != std::errc() || end != field.data() + field.size()) {
    fail(ErrorKind::input, "{}: {} (expected a whole number)", where, field);
  }
  return number;
}

}  // namespace

std::vector<std::vector<std::uint32_t>> Mapping::rings() const {
  std::vector<std::vector<std::uint32_t>> rings(groups, std::vector<std::uint32_t>(group_size));
  for (std::uint32_t device = 0; device < places.size(); ++device) {
    rings[places[device].group][places[device].rank] = device;
  }
  return rings;
}

namespace {

Mapping hierarchical(const Topology& topology, std::uint32_t size) {
  if (topology.nodes() < 2) throw std::invalid_argument("mapping hierarchical (expected wafers or nodes)");
  const Topology node = topology.one_node();
  const Mapping inside = named_mapping(node.is_mesh() ? "entwined" : "row", node, size);
  Mapping mapping{std::vector<Mapping::Place>(topology.devices()), inside.groups * topology.nodes(), size,
                  topology.nodes()};
  for (std::uint32_t n = 0; n < topology.nodes(); ++n) {
    for (std::uint32_t device = 0; device < node.devices(); ++device) {
      const Mapping::Place place = inside.places[device];
      mapping.places[topology.device_of(n, device)] = {n * inside.groups + place.group, place.rank};
    }
  }
  return mapping;
}

}  // namespace

Mapping named_mapping(const std::string& name, const Topology& topology, std::uint32_t size) {
  if (name == "hierarchical") return hierarchical(topology, size);
  const std::uint32_t devices = topology.devices();
  if (size == 0 || devices % size != 0) {
    throw std::invalid_argument(
        fmt::format("groups of {} among {} devices (expected a whole number of them)", size, devices));
  }
  Mapping mapping{std::vector<Mapping::Place>(devices), devices / size, size};
  if (name == "row") {
    for (std::uint32_t device = 0; device < devices; ++device) mapping.places[device] = {device / size, device % size};
    return mapping;
  }
  if (name != "block" && name != "entwined") {
    throw std::invalid_argument(
        fmt::format("mapping {} (expected row, block, entwined, hierarchical or a file)", name));
  }
  if (!topology.is_mesh()) {
    throw std::invalid_argument(fmt::format("mapping {} (expected row or a file where there is no mesh)", name));
  }
  const std::uint32_t area = name == "block" ? size : mapping.groups;
  const std::optional<Size> cut = rectangle(area, topology.columns(), topology.rows());
  if (!cut) {
    throw std::invalid_argument(fmt::format("mapping {}: {} x {} devices cannot be cut into rectangles of {}", name,
                                            topology.columns(), topology.rows(), area));
  }
  const std::vector<Tile> cuts = tiles(topology, *cut);
  for (std::uint32_t device = 0; device < devices; ++device) {
    const auto [tile, place] = cuts[device];
    mapping.places[device] = name == "block" ? Mapping::Place{tile, place} : Mapping::Place{place, tile};
  }
  return mapping;
}

Mapping read_mapping(const std::string& path, const Topology& topology) {
  std::istringstream lines(read_text_file(path, ErrorKind::input, "a mapping: device,group,rank", kMostBytes));
  std::string line;
  std::getline(lines, line);
  if (csv_fields(line) != std::vector<std::string>{"device", "group", "rank"}) {
    fail(ErrorKind::input, "{}: line 1: {} (expected device,group,rank)", path, line);
  }
  Mapping mapping;
  std::vector<std::optional<Mapping::Place>> places(topology.devices());
  for (std::size_t number = 2; std::getline(lines, line); ++number) {
    const std::string where = fmt::format("{}: line {}", path, number);
    const std::vector<std::string> fields = csv_fields(line);
    if (fields.size() != 3) fail(ErrorKind::input, "{}: {} (expected device,group,rank)", where, line);
    const std::uint32_t device = number_in(fields[0], where);
    const Mapping::Place place{number_in(fields[1], where), number_in(fields[2], where)};
    if (device >= places.size() || places[device]) {
      fail(ErrorKind::input, "{}: device {} (expected each of 0 to {} once)", where, device, places.size() - 1);
    }
    places[device] = place;
    mapping.groups = std::max(mapping.groups, place.group + 1);
    mapping.group_size = std::max(mapping.group_size, place.rank + 1);
  }
  std::vector<bool> taken(std::size_t{mapping.groups} * mapping.group_size, false);
  for (std::size_t device = 0; device < places.size(); ++device) {
    if (!places[device])
      fail(ErrorKind::input, "{}: no device {} (expected each of 0 to {} once)", path, device, places.size() - 1);
    mapping.places.push_back(*places[device]);
    const std::size_t place = std::size_t{places[device]->group} * mapping.group_size + places[device]->rank;
    if (places.size() != taken.size() || taken[place]) {
      fail(ErrorKind::input, "{}: {} devices in {} groups of {} (expected one for each group and rank)", path,
           places.size(), mapping.groups, mapping.group_size);
    }
    taken[place] = true;
  }
  return mapping;
}

}  // namespace moecarlo::hw
