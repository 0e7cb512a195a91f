#include "cuda/kernels/launch.cuh"

namespace moecarlo {
namespace {

/// The rules of any episode, in a cell of which the compiler knows that it holds one LRU cache a layer and nothing
/// else: loops over design points fold away, and residents and totals end up in registers. As many blocks of a
/// multiprocessor are asked for as leave registers for all of them.
template <int Words, bool Drawn>
__global__ void __launch_bounds__(kThreads, Words == 1   ? 5
                                            : Words == 2 ? 6
                                                         : 1) replay_lru(DeviceBlock block) {
  constexpr std::uint32_t kTotals = kDistinctAccepted + 1 + kRejectedOnly + 1;
  std::uint64_t local[kLocalWords];
  const LayerThread own(block);
  if (!own.exists(block)) return;

  const Policy policy = Policy::lru;
  PlanView plan = block.plan;
  plan.policies = {&policy, 1};
  plan.scope = Scope::layer;
  plan.hotness_planes = 0;
  plan.list_words = 0;
  plan.gate_mass = nullptr;
  plan.drafting_experts = block.routing.experts;
  if (!Drawn) plan.perturb = PerturbView{};
  Cell cell = block.plan.cells[block.cell];
  cell.tree = Tree{};
  cell.first_policy = 0;
  cell.policy_count = 1;
  cell.capacity_count = 1;
  cell.slices = 1;
  cell.first_total = 0;

  LayerBundle<Words, 1> residents;
  std::uint64_t totals[kTotals];
  std::uint64_t* scratch = own.layer_block(block, local);
  TrajectoryId id = id_of(block, own.trajectory);
  const LayerContext<1> at{block.routing, plan, id, block.tally, own.layer, 0, totals};
  at.clear(cell);
  // All trajectories of a thread fall into the same group.
  for (std::uint32_t t = own.trajectory; t < block.count; t += block.in_flight) {
    id.number = block.first + t;
    const auto parts = episode_scratch<Words>(block, plan, cell, id, t, scratch);
    LayerCaches<Words, 1> caches = parts.caches(own.layer, 0);
    caches.residents = &residents;
    caches.settled = nullptr;
    EpisodeReplay<Words, 1>{at, cell, caches}.add_passes(id);
  }
  flush(at, cell);
}

}  // namespace

template <int Words>
void launch_lru(const DeviceBlock& block, cudaStream_t stream) {
  if (block.drawn_masks != nullptr) {
    replay_lru<Words, true><<<layer_blocks(block), kThreads, 0, stream>>>(block);
  } else {
    replay_lru<Words, false><<<layer_blocks(block), kThreads, 0, stream>>>(block);
  }
}
template void launch_lru<MOECARLO_WORDS>(const DeviceBlock&, cudaStream_t);

}  // namespace moecarlo
