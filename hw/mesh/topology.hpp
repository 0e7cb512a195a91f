#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace moecarlo::hw {

/// A directed link between two devices.
using Link = std::pair<std::uint32_t, std::uint32_t>;

/// Devices and the links between them, on which messages go one fixed way.
class Topology {
 public:
  /// "switch:8" every two devices are one hop apart. "mesh:4x4" columns x rows, numbered row by row; messages go along
  /// the row first. "wafers:4x8x8" four such meshes side by side, whose rows go on from one to the next. "nodes:2x8"
  /// two nodes of eight devices: one hop inside, and a link between devices of the same number, which come first.
  /// Throws std::invalid_argument for other texts; "switch" alone takes `devices`.
  static Topology parse(const std::string& text, std::uint32_t devices);

  std::uint32_t devices() const { return nodes_ * columns_ * rows_; }
  std::uint32_t columns() const { return columns_ * (is_mesh() ? nodes_ : 1); }
  std::uint32_t rows() const { return rows_; }
  std::uint32_t nodes() const { return nodes_; }  ///< wafers or nodes
  bool is_mesh() const { return kind_ == Kind::mesh; }

  Topology one_node() const;  ///< a wafer, or a node behind its switch
  /// The device of the whole that is this one of a node.
  std::uint32_t device_of(std::uint32_t node, std::uint32_t device) const;

  /// The links from one device to another, in order; none to itself.
  std::vector<Link> path(std::uint32_t from, std::uint32_t to) const;
  std::uint32_t hops(std::uint32_t from, std::uint32_t to) const;
  std::vector<Link> links() const;      ///< all of them, ascending
  bool is_far(const Link& link) const;  ///< from one wafer or node to another

 private:
  enum class Kind { switched, mesh, nodes };
  Kind kind_ = Kind::switched;
  std::uint32_t nodes_ = 1, columns_ = 1, rows_ = 1;
};

}  // namespace moecarlo::hw
