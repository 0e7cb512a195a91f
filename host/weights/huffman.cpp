#include "host/weights/huffman.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <queue>
#include <utility>

namespace moecarlo {
namespace {

std::vector<int> unlimited_lengths(std::span<const std::uint64_t> counts) {
  using Node = std::pair<std::uint64_t, std::size_t>;  // count and number; leaves first
  std::priority_queue<Node, std::vector<Node>, std::greater<>> open;
  std::vector<std::size_t> parent(counts.size(), 0);
  for (std::size_t symbol = 0; symbol < counts.size(); ++symbol) {
    if (counts[symbol] > 0) open.emplace(counts[symbol], symbol);
  }
  std::vector<int> lengths(counts.size(), 0);
  if (open.size() == 1) lengths[open.top().second] = 1;
  if (open.size() < 2) return lengths;
  while (open.size() > 1) {
    const auto [count, node] = open.top();
    open.pop();
    const auto [other_count, other] = open.top();
    open.pop();
    parent[node] = parent[other] = parent.size();
    open.emplace(count + other_count, parent.size());
    parent.push_back(0);
  }
  std::vector<int> depth(parent.size(), 0);
  for (std::size_t node = parent.size() - 1; node-- > 0;) {
    if (node < counts.size() && counts[node] == 0) continue;
    depth[node] = depth[parent[node]] + 1;
    if (node < counts.size()) lengths[node] = depth[node];
  }
  return lengths;
}

}  // namespace

double entropy_bits(std::span<const std::uint64_t> counts) {
  const auto all = static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}));
  double bits = 0;
  for (const std::uint64_t count : counts) {
    const double share = static_cast<double>(count) / all;
    if (count > 0) bits -= share * std::log2(share);
  }
  return bits;
}

std::vector<int> huffman_lengths(std::span<const std::uint64_t> counts, int longest) {
  std::vector<std::uint64_t> raised(counts.begin(), counts.end());
  std::vector<int> lengths = unlimited_lengths(raised);
  for (std::uint64_t least = 2; !lengths.empty() && *std::max_element(lengths.begin(), lengths.end()) > longest;
       least *= 2) {
    for (std::uint64_t& count : raised) count = count > 0 ? std::max(count, least) : 0;
    lengths = unlimited_lengths(raised);
  }
  return lengths;
}

}  // namespace moecarlo
