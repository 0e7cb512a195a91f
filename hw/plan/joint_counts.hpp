#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moecarlo::hw {

/// So many experts of one layer were found in the cache by one pass, and so many were not. Where a nearer tier is told
/// apart, the hits are those in the last tier before home alone.
struct JointBin {
  std::uint32_t hits = 0, misses = 0;

  friend auto operator<=>(const JointBin&, const JointBin&) = default;
};

/// What adds up over the passes of a group.
struct PassSums {
  double count = 0;
  double touching = 0;          ///< those that touched any expert
  double hits = 0, misses = 0;  ///< hits in any tier
  double nearer = 0;            ///< hits nearer than the last tier before home, where they are told apart

  PassSums& operator+=(const PassSums& other);
};

/// Passes over one layer by what they hit and missed, in several groups of trajectories. Bins that no group counted are
/// left out.
class JointCounts {
 public:
  /// One count of one group.
  struct Entry {
    std::uint32_t group = 0;
    JointBin bin;
    std::uint64_t count = 0;
    std::uint64_t nearer = 0;  ///< hits nearer than those of the bin, of all its passes together
  };

  JointCounts() = default;
  /// `nested`: nearer hits are told apart.
  JointCounts(std::uint32_t groups, std::span<const Entry> entries, bool nested = false);

  std::uint32_t groups() const { return static_cast<std::uint32_t>(sums_.size()); }
  std::span<const JointBin> bins() const { return bins_; }  ///< ascending by hits, then by misses

  /// [groups] counts of one bin: whole numbers.
  std::span<const double> counts(std::size_t bin) const { return {&counts_[bin * sums_.size()], sums_.size()}; }

  bool nested() const { return !nearer_.empty(); }
  /// [groups] nearer hits of one bin's passes, where they are told apart.
  std::span<const double> nearer(std::size_t bin) const { return {&nearer_[bin * sums_.size()], sums_.size()}; }

  const PassSums& sums(std::uint32_t group) const { return sums_[group]; }

  /// The same of these groups only.
  JointCounts of_groups(std::span<const std::uint32_t> groups) const;

  /// Those from `first` to before `end` together, as one group.
  JointCounts pooled(std::uint32_t first, std::uint32_t end) const;

 private:
  std::vector<JointBin> bins_;
  std::vector<double> counts_;  ///< [bins][groups]
  std::vector<double> nearer_;  ///< [bins][groups] or none
  std::vector<PassSums> sums_;  ///< [groups]
};

}  // namespace moecarlo::hw
