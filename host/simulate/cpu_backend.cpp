#include "host/simulate/cpu_backend.hpp"

#include <algorithm>
#include <atomic>
#include <vector>

#include "host/simulate/parts_backend.hpp"
#include "host/support/parallel.hpp"

namespace moecarlo {
namespace {

WorkspaceLayout layout_for(const RoutingView& routing, const PlanView& plan, InstructionSet best) {
  const bool bundles = has_episodes(plan.walk) && !plan.coupled;
  const int lanes = bundles ? lanes_of(set_for(best, routing, plan)) : 1;
  return WorkspaceLayout::of(plan, routing.layers, mask_words(routing.experts), lanes);
}

/// 64-bit words of a thread's scratch: a path, and what a layer replays in, or where they go together each of them.
std::size_t scratch_words(const RoutingView& routing, const PlanView& plan, const WorkspaceLayout& layout) {
  return layout.path_words + (plan.coupled ? routing.layers : 1) * layout.layer_words;
}

class CpuBackend final : public Backend {
 public:
  CpuBackend(const RoutingView& routing, const PlanView& plan, unsigned threads, InstructionSet best)
      : routing_(routing),
        plan_(plan),
        layout_(layout_for(routing, plan_, best)),
        run_(code_for(set_for(best, routing, plan_), routing, plan_)),
        workers_(thread_count(threads)) {
    for (Worker& worker : workers_) worker.scratch.resize(1 + scratch_words(routing, plan_, layout_) / 8);
  }

  std::string name() const override { return "cpu"; }

  bool run(const TrajectoryRange& range, std::span<std::uint64_t> counters,
           const std::function<bool()>& stop) override {
    // Only episodes keep their cells apart. The largest cells come first, so that no thread is left with one at the
    // end.
    const bool all = !range.is_one_cell();
    const std::uint64_t cells = all && has_episodes(plan_.walk) ? plan_.cell_count : 1;
    const std::uint64_t count = range.last - range.first;
    const std::uint64_t blocks = std::clamp<std::uint64_t>(count / 4, 1, 8 * workers_.size());
    std::atomic<bool> stopped = false;
    parallel_for(cells * blocks, static_cast<unsigned>(workers_.size()), [&](std::uint64_t item, unsigned w) {
      if (stopped || (stop && stop())) {
        stopped = true;
        return;
      }
      Worker& worker = workers_[w];
      std::uint64_t* target = counters.data();
      if (w > 0) {
        worker.counters.resize(counters.size(), 0);
        target = worker.counters.data();
      }
      const std::uint64_t block = item % blocks;
      const auto cell = all ? static_cast<std::uint32_t>(cells - 1 - item / blocks) : range.cell;
      run_({routing_, plan_, layout_, cell, range.stream, range.first + count * block / blocks,
            range.first + count * (block + 1) / blocks, worker.scratch.front().words, TallyView{target}});
    });
    for (Worker& worker : workers_) {
      for (std::size_t i = 0; i < worker.counters.size(); ++i) counters[i] += worker.counters[i];
      std::fill(worker.counters.begin(), worker.counters.end(), 0);
    }
    return !stopped;
  }

 private:
  struct Worker {
    struct alignas(64) CacheLine {
      std::uint64_t words[8];
    };
    std::vector<CacheLine> scratch;
    std::vector<std::uint64_t> counters;  // worker 0 counts in the caller's
  };

  RoutingView routing_;
  PlanView plan_;
  WorkspaceLayout layout_;
  RunBlock* run_;
  std::vector<Worker> workers_;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(const RoutingView& routing, const Plan& plan, unsigned threads,
                                          InstructionSet set) {
  return in_parts(plan,
                  [&](const PlanView& view) { return std::make_unique<CpuBackend>(routing, view, threads, set); });
}

std::uint64_t cpu_scratch_bytes(const RoutingView& routing, const Plan& plan, unsigned threads, InstructionSet set) {
  const auto bytes_of = [&](const PlanView& view) {
    const std::uint64_t words = scratch_words(routing, view, layout_for(routing, view, set));
    return thread_count(threads) * (words / 8 + 1) * 64;
  };
  return bytes_of(plan.view()) + (plan.cells_apart().empty() ? 0 : bytes_of(plan.view_apart()));
}

}  // namespace moecarlo
