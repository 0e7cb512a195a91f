#include "hw/mesh/topology.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace moecarlo::hw {
namespace {

constexpr std::uint32_t kMostDevices = 1 << 16;

/// "4x8x8" as numbers; empty where it is none.
std::vector<std::uint32_t> numbers_in(const std::string& text) {
  std::vector<std::uint32_t> numbers;
  const char *at = text.data(), *end = at + text.size();
  while (at < end) {
    std::uint32_t number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc() || number == 0 || number > kMostDevices) return {};
    numbers.push_back(number);
    if (next < end && *next != 'x') return {};
    at = next + 1;
    if (next + 1 == end) return {};
  }
  return numbers;
}

}  // namespace

Topology Topology::parse(const std::string& text, std::uint32_t devices) {
  const std::size_t colon = text.find(':');
  const std::string kind = text.substr(0, colon);
  const std::vector<std::uint32_t> sizes =
      colon == std::string::npos ? std::vector<std::uint32_t>{} : numbers_in(text.substr(colon + 1));
  Topology found;
  if (kind == "switch" && (sizes.size() == 1 || (text == "switch" && devices > 0))) {
    found.columns_ = sizes.empty() ? devices : sizes[0];
  } else if (kind == "mesh" && sizes.size() == 2) {
    found.kind_ = Kind::mesh;
    found.columns_ = sizes[0], found.rows_ = sizes[1];
  } else if (kind == "wafers" && sizes.size() == 3) {
    found.kind_ = Kind::mesh;
    found.nodes_ = sizes[0], found.columns_ = sizes[1], found.rows_ = sizes[2];
  } else if (kind == "nodes" && sizes.size() == 2) {
    found.kind_ = Kind::nodes;
    found.nodes_ = sizes[0], found.columns_ = sizes[1];
  } else {
    throw std::invalid_argument(fmt::format(
        "topology {} (expected switch, mesh:COLUMNSxROWS, wafers:NxCOLUMNSxROWS or nodes:NxDEVICES)", text));
  }
  if (std::uint64_t{found.nodes_} * found.columns_ * found.rows_ > kMostDevices) {
    throw std::invalid_argument(fmt::format("topology {} (expected no more than {} devices)", text, kMostDevices));
  }
  return found;
}

Topology Topology::one_node() const {
  Topology one = *this;
  one.nodes_ = 1;
  if (kind_ == Kind::nodes) one.kind_ = Kind::switched;
  return one;
}

std::uint32_t Topology::device_of(std::uint32_t node, std::uint32_t device) const {
  if (!is_mesh()) return node * columns_ + device;
  return device / columns_ * columns() + node * columns_ + device % columns_;
}

std::vector<Link> Topology::path(std::uint32_t from, std::uint32_t to) const {
  std::vector<Link> links;
  const auto go = [&](std::uint32_t next) {
    if (next != from) links.emplace_back(from, next);
    from = next;
  };
  if (kind_ == Kind::nodes) {
    go(to / columns_ * columns_ + from % columns_);
    go(to);
  } else if (kind_ == Kind::switched) {
    go(to);
  } else {
    const std::uint32_t wide = columns();
    while (from % wide != to % wide) go(from % wide < to % wide ? from + 1 : from - 1);
    while (from != to) go(from < to ? from + wide : from - wide);
  }
  return links;
}

std::uint32_t Topology::hops(std::uint32_t from, std::uint32_t to) const {
  return static_cast<std::uint32_t>(path(from, to).size());
}

bool Topology::is_far(const Link& link) const {
  const auto node = [&](std::uint32_t device) { return is_mesh() ? device % columns() / columns_ : device / columns_; };
  return node(link.first) != node(link.second);
}

std::vector<Link> Topology::links() const {
  std::vector<Link> all;
  for (std::uint32_t from = 0; from < devices(); ++from) {
    for (std::uint32_t to = 0; to < devices(); ++to) {
      if (from != to && hops(from, to) == 1) all.emplace_back(from, to);
    }
  }
  return all;
}

}  // namespace moecarlo::hw
