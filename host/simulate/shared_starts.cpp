#include "host/simulate/shared_starts.hpp"

#include <algorithm>
#include <map>

namespace moecarlo {
namespace {

constexpr double kLeastShare = 1.0 / 3;  // a cell takes at most three times the trajectories of the others

std::vector<std::uint32_t> evaluation_lengths(const RoutingTable& table) {
  std::vector<std::uint32_t> lengths;
  for (const std::uint32_t s : table.split.evaluation) lengths.push_back(table.sequences[s].length);
  return lengths;
}

}  // namespace

std::vector<double> shares_that_fit(const std::vector<std::uint32_t>& lengths, std::uint32_t depth,
                                    std::uint32_t most) {
  std::map<std::uint32_t, double> left;  // sequences of each length that no request stands on
  for (const std::uint32_t length : lengths) left[length] += 1;
  const std::map<std::uint32_t, double> all = left;
  const auto starts = [](const std::map<std::uint32_t, double>& sequences, std::uint32_t deep) {
    double sum = 0;
    for (const auto& [length, count] : sequences) sum += length > deep ? count * (length - deep) : 0;
    return sum;
  };
  std::vector<double> shares;
  double share = 1;
  for (std::uint32_t request = 0; request < most; ++request) {
    const bool distinct = lengths.size() >= 2 * (std::size_t{request} + 1);
    const auto& drawn_from = distinct ? left : all;
    const double fitting = starts(drawn_from, depth);
    share *= fitting / starts(drawn_from, 0);
    shares.push_back(share);
    if (fitting == 0) break;
    for (auto& [length, count] : left) count -= length > depth ? count * (length - depth) / fitting : 0;
  }
  shares.resize(most, 0);
  return shares;
}

std::vector<bool> cells_better_apart(const Grid& grid, const RoutingTable& table) {
  const std::vector<std::uint32_t> lengths = evaluation_lengths(table);
  const auto eligible = [&](std::uint32_t depth) {
    return static_cast<std::size_t>(
        std::count_if(lengths.begin(), lengths.end(), [&](std::uint32_t length) { return length > depth; }));
  };
  const std::uint32_t most = grid.cells.back().batch;
  std::map<std::uint32_t, std::vector<double>> shares;  // by depth
  for (const GridCell& cell : grid.cells) {
    if (shares.count(cell.depth) == 0) shares[cell.depth] = shares_that_fit(lengths, cell.depth, most);
  }
  std::vector<bool> apart;
  for (std::size_t c = 0; c < grid.cells.size(); ++c) {
    const GridCell& cell = grid.cells[c];
    const std::size_t wanted = 2 * std::size_t{cell.batch};
    const bool other_law = lengths.size() >= wanted && eligible(cell.depth) < wanted;
    bool better = other_law || shares[cell.depth][cell.batch - 1] < kLeastShare;
    for (std::size_t i = 0; i < c; ++i) {
      better = better || (apart[i] && grid.cells[i].batch <= cell.batch && grid.cells[i].depth <= cell.depth);
    }
    apart.push_back(better);
  }
  return apart;
}

}  // namespace moecarlo
