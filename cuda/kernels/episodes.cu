#include "cuda/kernels/launch.cuh"

namespace moecarlo {
namespace {

template <int Words>
__global__ void __launch_bounds__(kThreads) replay_episodes(DeviceBlock block) {
  std::uint64_t local[kLocalWords];
  const LayerThread own(block);
  if (!own.exists(block)) return;
  std::uint64_t* scratch = own.layer_block(block, local);
  const Cell& cell = block.plan.cells[block.cell];
  TrajectoryId id = id_of(block, own.trajectory);
  const LayerContext<1> at{block.routing, block.plan, id, block.tally, own.layer, 0, scratch + block.layout.totals};
  at.clear(cell);
  // All trajectories of a thread fall into the same group.
  for (std::uint32_t t = own.trajectory; t < block.count; t += block.in_flight) {
    id.number = block.first + t;
    const auto parts = episode_scratch<Words>(block, block.plan, cell, id, t, scratch);
    add_episode<Words, 1>(at, cell, parts.caches(own.layer, 0), id, path_in(block.layout, path_block(block, t)),
                          parts.drawn(own.layer, 0));
  }
  flush(at, cell);
}

}  // namespace

template <int Words>
void launch_episodes(const DeviceBlock& block, cudaStream_t stream) {
  replay_episodes<Words><<<layer_blocks(block), kThreads, 0, stream>>>(block);
}
template void launch_episodes<MOECARLO_WORDS>(const DeviceBlock&, cudaStream_t);

}  // namespace moecarlo
