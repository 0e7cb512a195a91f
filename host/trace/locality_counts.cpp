#include "host/trace/locality_counts.hpp"

#include <algorithm>
#include <utility>

namespace moecarlo {

LayerCounts::LayerCounts(std::uint32_t experts, const LocalityLengths& lengths)
    : choices(experts), distinct(lengths.windows.size()), lru_depth(experts + 1) {
  for (const std::uint32_t m : lengths.segments) {
    segment_uses.emplace_back(m + std::size_t{1});
    sch_depth.emplace_back(experts + std::size_t{1});
  }
}

void count_run(const LayerRun& run, const LocalityLengths& lengths, LayerCounts& counts) {
  count_reuse(run, lengths.windows, counts);
  count_lru_depths(run, counts.lru_depth);
  for (std::size_t i = 0; i < lengths.segments.size(); ++i) {
    count_segment_uses(run, lengths.segments[i], counts.segment_uses[i]);
    count_sch_depths(run, lengths.segments[i], counts.sch_depth[i]);
  }
}

void count_reuse(const LayerRun& run, std::span<const std::uint32_t> windows, LayerCounts& counts) {
  const auto tokens = static_cast<std::int64_t>(run.tokens());
  std::vector<std::int64_t> last_use(run.experts, -1);
  for (std::int64_t token = 0; token < tokens; ++token) {
    for (const std::uint16_t expert : run.at(static_cast<std::uint64_t>(token))) {
      const std::int64_t previous = std::exchange(last_use[expert], token);
      ++counts.choices[expert];
      counts.after_another += token > 0;
      counts.kept_from_previous += token > 0 && previous == token - 1;
      for (std::size_t i = 0; i < windows.size(); ++i) {
        // Of the windows that hold this token, those that began after the previous use see the expert for the first
        // time here.
        const std::int64_t length = windows[i];
        const std::int64_t first = std::max(previous + 1, token - length + 1);
        const std::int64_t last = std::min(token, tokens - length);
        counts.distinct[i] += static_cast<std::uint64_t>(std::max<std::int64_t>(0, last - first + 1));
      }
    }
  }
}

namespace {

/// Moves the expert at depth `touched` to the top: those above it sink by one. All experts never seen share the depth
/// `experts`, so a first touch sinks every expert seen.
void sink_above(std::span<std::int16_t> depth_of, std::int16_t touched) {
  for (std::int16_t& depth : depth_of) depth = static_cast<std::int16_t>(depth + (depth < touched ? 1 : 0));
}

}  // namespace

void count_lru_depths(const LayerRun& run, std::span<std::uint64_t> depth) {
  std::vector<std::int16_t> depth_of(run.experts, static_cast<std::int16_t>(run.experts));
  for (std::uint64_t token = 0; token < run.tokens(); ++token) {
    const auto chosen = run.at(token);
    for (const std::uint16_t expert : chosen) ++depth[static_cast<std::size_t>(depth_of[expert])];
    for (const std::uint16_t expert : chosen) {
      sink_above(depth_of, depth_of[expert]);
      depth_of[expert] = 0;
    }
  }
}

namespace {

/// add(expert, uses, segments): how many segments have so many uses of an expert.
template <class Add>
void each_segment_use(const LayerRun& run, std::uint32_t m, const Add& add) {
  if (run.tokens() < m) return;
  const std::uint64_t segments = run.tokens() - m + 1;
  std::vector<std::uint32_t> uses(run.experts, 0);
  std::vector<std::uint64_t> since(run.experts, 0);  // first segment with the present number of uses
  // Counting each (expert, uses) stretch when it ends costs a few steps per choice instead of one per expert.
  const auto close = [&](std::uint16_t expert, std::uint64_t segment) {
    add(expert, uses[expert], segment - since[expert]);
    since[expert] = segment;
  };
  for (std::uint32_t token = 0; token < m; ++token) {
    for (const std::uint16_t expert : run.at(token)) ++uses[expert];
  }
  for (std::uint64_t segment = 1; segment < segments; ++segment) {
    for (const std::uint16_t expert : run.at(segment - 1)) close(expert, segment), --uses[expert];
    for (const std::uint16_t expert : run.at(segment + m - 1)) close(expert, segment), ++uses[expert];
  }
  for (std::uint32_t expert = 0; expert < run.experts; ++expert) close(static_cast<std::uint16_t>(expert), segments);
}

}  // namespace

void count_segment_uses(const LayerRun& run, std::uint32_t m, std::span<std::uint64_t> pairs) {
  each_segment_use(run, m, [&](std::uint16_t, std::uint32_t uses, std::uint64_t segments) { pairs[uses] += segments; });
}

void count_expert_segment_uses(const LayerRun& run, std::uint32_t m, std::span<std::uint64_t> pairs) {
  each_segment_use(run, m, [&](std::uint16_t expert, std::uint32_t uses, std::uint64_t segments) {
    pairs[std::size_t{expert} * (m + 1) + uses] += segments;
  });
}

}  // namespace moecarlo
