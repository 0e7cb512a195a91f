#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cuda/core/random.hpp"
#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// The two steps of building a routing table that sort: which sequences calibrate, and how popular the experts are in
/// them. Every implementation gives the same integers.
class TableRanker {
 public:
  virtual ~TableRanker() = default;
  /// The `count` sequences with the smallest Philox draw of their index in the file, the earlier one on ties; ascending
  /// indices into `file_index`.
  virtual std::vector<std::uint32_t> calibrating(std::span<const std::uint64_t> file_index, std::uint32_t split_seed,
                                                 std::uint32_t count) = 0;
  /// Takes a table whose masks have bit e for expert e and whose split is known. Fills `expert_of_rank`,
  /// `rank_of_expert` and `popularity`, and brings the masks of its tokens into rank order.
  virtual void rank(RoutingTable& table) = 0;
};

/// On the threads of this process; `threads` 0 = all cores.
std::unique_ptr<TableRanker> make_host_ranker(unsigned threads);

/// The draw by which sequence `file_index` is sorted into one side of the split or the other.
MOECARLO_HOST_DEVICE std::uint32_t split_draw(std::uint32_t split_seed, std::uint64_t file_index) {
  const DrawAddress address{
      .seed = split_seed, .stream = Stream::setup, .trajectory = file_index, .purpose = Purpose::split};
  return address.draw(0);
}

/// Fills `rank_of_expert` from `expert_of_rank`.
void invert_ranks(RoutingTable& table);

}  // namespace moecarlo
