#include <algorithm>
#include <utility>

#include "host/trace/locality_counts.hpp"

namespace moecarlo {
namespace {

/// The stack whose first C members are the cache of C experts, for every C.
///
/// A member is one word that compares like its priority to stay: uses ahead (17 bits), then time of the last touch (37
/// bits), then the expert (10 bits).
class LookaheadStack {
 public:
  explicit LookaheadStack(std::uint32_t experts)
      : members_(experts), depth_of_(experts, static_cast<std::uint16_t>(experts)), uses_ahead_(experts, 0) {}

  std::uint16_t depth(std::uint16_t expert) const { return depth_of_[expert]; }

  /// One more use of the expert comes into view.
  void foresee(std::uint16_t expert) {
    ++uses_ahead_[expert];
    if (depth_of_[expert] < members_.size()) members_[depth_of_[expert]] += one_use;
  }

  /// The expert is used: it goes to the top, and the member it displaces sinks until it meets one of lower priority,
  /// which sinks on in its place, down to where the expert was.
  void touch(std::uint16_t expert) {
    const std::uint16_t end = depth_of_[expert];
    const std::size_t bottom = end < members_.size() ? end : seen_++;
    std::uint64_t sinking = (--uses_ahead_[expert] * one_use) | (time_++ << expert_bits) | expert;
    if (bottom > 0) std::swap(sinking, members_[0]);
    for (std::size_t depth = 1; depth < bottom; ++depth) {
      const std::uint64_t member = members_[depth];
      members_[depth] = std::max(member, sinking);
      sinking = std::min(member, sinking);
    }
    members_[bottom] = sinking;
    for (std::size_t depth = 0; depth <= bottom; ++depth) {
      depth_of_[members_[depth] % (1U << expert_bits)] = static_cast<std::uint16_t>(depth);
    }
  }

 private:
  static constexpr unsigned expert_bits = 10, time_bits = 37;
  static constexpr std::uint64_t one_use = std::uint64_t{1} << (expert_bits + time_bits);

  std::vector<std::uint64_t> members_;  ///< the `seen_` experts seen, top first
  std::vector<std::uint16_t> depth_of_;
  std::vector<std::uint64_t> uses_ahead_;
  std::size_t seen_ = 0;
  std::uint64_t time_ = 0;
};

}  // namespace

void count_sch_depths(const LayerRun& run, std::uint32_t m, std::span<std::uint64_t> depth) {
  LookaheadStack stack(run.experts);
  const std::uint64_t tokens = run.tokens();
  for (std::uint64_t ahead = 0; ahead < std::min<std::uint64_t>(m - 1, tokens); ++ahead) {
    for (const std::uint16_t expert : run.at(ahead)) stack.foresee(expert);
  }
  for (std::uint64_t token = 0; token < tokens; ++token) {
    if (token + m - 1 < tokens) {
      for (const std::uint16_t expert : run.at(token + m - 1)) stack.foresee(expert);
    }
    const auto chosen = run.at(token);
    for (const std::uint16_t expert : chosen) ++depth[stack.depth(expert)];
    for (const std::uint16_t expert : chosen) stack.touch(expert);
  }
}

}  // namespace moecarlo
