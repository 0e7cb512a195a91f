#include "host/simulate/cpu_backend.hpp"

#include <algorithm>
#include <atomic>
#include <vector>

#include "host/simulate/parts_backend.hpp"
#include "host/support/parallel.hpp"

namespace moecarlo {
namespace {

/// Layers that are replayed at a time.
int lanes_for(const RoutingView& routing, const PlanView& plan, InstructionSet best) {
  return has_episodes(plan.walk) && !plan.coupled ? lanes_of(set_for(best, routing, plan)) : 1;
}

WorkspaceLayout layout_for(const RoutingView& routing, const PlanView& plan, InstructionSet best) {
  return WorkspaceLayout::of(plan, routing.layers, mask_words(routing.experts), lanes_for(routing, plan, best));
}

/// Words of a copy of the masks that can be read in all lanes; none where there are layers for every lane.
std::size_t padded_words(const RoutingView& routing, const PlanView& plan, InstructionSet best) {
  const auto lanes = static_cast<std::uint32_t>(lanes_for(routing, plan, best));
  if (routing.layers >= lanes) return 0;
  return (std::size_t{routing.rows - 1} * routing.layers + lanes) *
         static_cast<std::size_t>(mask_words(routing.experts));
}

/// 64-bit words of a thread's scratch: a path, and what a layer replays in, or where they go together each of them.
std::size_t scratch_words(const RoutingView& routing, const PlanView& plan, const WorkspaceLayout& layout) {
  return layout.path_words + (plan.coupled ? routing.layers : 1) * layout.layer_words;
}

/// Each cell counts in places of its own: threads that take whole cells need no counters of their own. They take them
/// where there are kCellsEach cells a thread, so that none waits long at the end, or where all threads together would
/// need more than kMostCounters, 1 GiB.
constexpr std::uint64_t kCellsEach = 4, kMostCounters = std::uint64_t{1} << 27;

bool takes_whole_cells(std::uint64_t cells, std::uint64_t counters, std::uint64_t workers) {
  return workers > 1 && cells > 1 && (cells >= kCellsEach * workers || counters * workers > kMostCounters);
}

std::uint64_t cells_of(const PlanView& plan) {
  return has_episodes(plan.walk) ? plan.cell_count : 1;  // samples have theirs together
}

class CpuBackend final : public Backend {
 public:
  CpuBackend(const RoutingView& routing, const PlanView& plan, unsigned threads, InstructionSet best)
      : routing_(routing),
        plan_(plan),
        layout_(layout_for(routing, plan_, best)),
        run_(code_for(set_for(best, routing, plan_), routing, plan_)),
        padded_masks_(padded_words(routing, plan_, best)),
        workers_(thread_count(threads)) {
    if (!padded_masks_.empty()) {
      std::copy_n(routing.masks, std::size_t{routing.rows} * routing.layers * mask_words(routing.experts),
                  padded_masks_.begin());
      routing_.masks = padded_masks_.data();
    }
    for (Worker& worker : workers_) worker.scratch.resize(1 + scratch_words(routing, plan_, layout_) / 8);
  }

  std::string name() const override { return "cpu"; }

  bool run(const TrajectoryRange& range, std::span<std::uint64_t> counters,
           const std::function<bool()>& stop) override {
    const std::vector<TrajectoryRange> parts = parts_of(range);
    const std::uint64_t workers = workers_.size();
    const bool whole_cells = takes_whole_cells(parts.size(), counters.size(), workers);
    const std::uint64_t blocks = std::clamp<std::uint64_t>((range.last - range.first) / 4, 1, 8 * workers);
    const std::uint64_t at_once = whole_cells ? blocks : 1;  // blocks that a thread takes
    std::atomic<bool> stopped = false;
    parallel_for(parts.size() * blocks / at_once, static_cast<unsigned>(workers), [&](std::uint64_t item, unsigned w) {
      Worker& worker = workers_[w];
      std::uint64_t* target = counters.data();
      if (w > 0 && !whole_cells) {
        worker.counters.resize(counters.size(), 0);
        target = worker.counters.data();
      }
      for (std::uint64_t number = item * at_once; number < (item + 1) * at_once; ++number) {
        if (stopped || (stop && stop())) {
          stopped = true;
          return;
        }
        const TrajectoryRange& part = parts[number / blocks];
        const std::uint64_t block = number % blocks, count = part.last - part.first;
        run_({routing_, plan_, layout_, part.cell, range.stream, part.first + count * block / blocks,
              part.first + count * (block + 1) / blocks, worker.scratch.front().words, TallyView{target}});
      }
    });
    for (Worker& worker : workers_) {
      for (std::size_t i = 0; i < worker.counters.size(); ++i) counters[i] += worker.counters[i];
      std::fill(worker.counters.begin(), worker.counters.end(), 0);
    }
    return !stopped;
  }

 private:
  /// The range in each of its cells, the largest first, so that no thread is left with one at the end.
  std::vector<TrajectoryRange> parts_of(const TrajectoryRange& range) const {
    std::vector<TrajectoryRange> parts;
    for (std::uint64_t left = cells_of(plan_); left-- > 0;) {
      const auto cell = static_cast<std::uint32_t>(left);
      if (range.has(cell)) parts.push_back(range.in(plan_, cell));
    }
    return parts;
  }

  struct Worker {
    struct alignas(64) CacheLine {
      std::uint64_t words[8];
    };
    std::vector<CacheLine> scratch;
    std::vector<std::uint64_t> counters;  // worker 0 counts in the caller's, of whole cells every one
  };

  RoutingView routing_;
  PlanView plan_;
  WorkspaceLayout layout_;
  RunBlock* run_;
  std::vector<std::uint64_t> padded_masks_;
  std::vector<Worker> workers_;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(const RoutingView& routing, const Plan& plan, unsigned threads,
                                          InstructionSet set) {
  return in_parts(plan,
                  [&](const PlanView& view) { return std::make_unique<CpuBackend>(routing, view, threads, set); });
}

std::uint64_t cpu_backend_bytes(const RoutingView& routing, const Plan& plan, unsigned threads, InstructionSet set) {
  const std::uint64_t workers = thread_count(threads);
  const auto bytes_of = [&](const PlanView& view, std::uint64_t cells) {
    const std::uint64_t words = scratch_words(routing, view, layout_for(routing, view, set));
    const bool whole_cells = takes_whole_cells(cells, plan.layout.size, workers);
    const std::uint64_t counters = (whole_cells ? 0 : workers - 1) * plan.layout.size;
    return workers * (words / 8 + 1) * 64 + (counters + padded_words(routing, view, set)) * sizeof(std::uint64_t);
  };
  // Cells that stand apart run one after the other.
  return bytes_of(plan.view(), cells_of(plan.view())) +
         (plan.cells_apart().empty() ? 0 : bytes_of(plan.view_apart(), 1));
}

}  // namespace moecarlo
