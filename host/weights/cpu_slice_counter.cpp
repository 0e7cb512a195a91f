#include <algorithm>
#include <mutex>

#include "host/support/parallel.hpp"
#include "host/weights/count_slices.hpp"

namespace moecarlo {
namespace {

/// Row groups of one matrix, enough of them that adding up their counts costs nothing beside the counting.
struct Tile {
  std::size_t matrix = 0;
  std::uint64_t first = 0, last = 0;
};

std::vector<Tile> tiles_of(std::span<const WeightMatrix> matrices) {
  constexpr std::uint64_t tile_weights = std::uint64_t{1} << 19;
  std::vector<Tile> tiles;
  for (std::size_t m = 0; m < matrices.size(); ++m) {
    const std::uint64_t groups = matrices[m].row_groups();
    const std::uint64_t step =
        std::max<std::uint64_t>(1, tile_weights / std::max<std::uint64_t>(1, kPatternRows * matrices[m].columns));
    for (std::uint64_t first = 0; first < groups; first += step) {
      tiles.push_back({m, first, std::min(groups, first + step)});
    }
  }
  return tiles;
}

class CpuSliceCounter final : public SliceCounter {
 public:
  explicit CpuSliceCounter(unsigned threads) : threads_(threads) {}

  std::vector<SliceCounts> count(std::span<const WeightMatrix> matrices) override {
    std::vector<SliceCounts> results(matrices.size());
    std::mutex mutex;
    const std::vector<Tile> tiles = tiles_of(matrices);
    parallel_for(tiles.size(), threads_, [&](std::uint64_t item, unsigned) {
      const Tile& tile = tiles[item];
      const SliceCounts counts = count_slices(matrices[tile.matrix], tile.first, tile.last);
      const std::scoped_lock lock(mutex);
      results[tile.matrix] += counts;
    });
    return results;
  }

 private:
  unsigned threads_;
};

}  // namespace

std::unique_ptr<SliceCounter> make_cpu_slice_counter(unsigned threads) {
  return std::make_unique<CpuSliceCounter>(threads);
}

}  // namespace moecarlo
