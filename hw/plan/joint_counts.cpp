#include "hw/plan/joint_counts.hpp"

#include <algorithm>
#include <numeric>

namespace moecarlo::hw {

PassSums& PassSums::operator+=(const PassSums& other) {
  count += other.count;
  touching += other.touching;
  hits += other.hits;
  misses += other.misses;
  nearer += other.nearer;
  return *this;
}

JointCounts::JointCounts(std::uint32_t groups, std::span<const Entry> entries, bool nested) : sums_(groups) {
  // Where each bin lies, in a box that holds them all.
  std::uint32_t most_hits = 0, most_misses = 0;
  for (const Entry& entry : entries) {
    most_hits = std::max(most_hits, entry.bin.hits);
    most_misses = std::max(most_misses, entry.bin.misses);
  }
  const std::size_t columns = most_misses + std::size_t{1};
  std::vector<std::uint32_t> place((most_hits + std::size_t{1}) * columns, 0);
  const auto at = [&](const JointBin& bin) -> std::uint32_t& { return place[bin.hits * columns + bin.misses]; };
  for (const Entry& entry : entries) at(entry.bin) = 1;
  for (std::uint32_t hits = 0; hits <= most_hits; ++hits) {
    for (std::uint32_t misses = 0; misses <= most_misses; ++misses) {
      if (at({hits, misses}) == 0) continue;
      at({hits, misses}) = static_cast<std::uint32_t>(bins_.size());
      bins_.push_back({hits, misses});
    }
  }
  counts_.assign(bins_.size() * groups, 0);
  if (nested) nearer_.assign(counts_.size(), 0);
  for (const Entry& entry : entries) {
    const auto count = static_cast<double>(entry.count), nearer = static_cast<double>(entry.nearer);
    const std::size_t bin_of_group = std::size_t{at(entry.bin)} * groups + entry.group;
    counts_[bin_of_group] += count;
    if (nested) nearer_[bin_of_group] += nearer;
    const bool touches = entry.bin.hits + entry.bin.misses + entry.nearer > 0;
    sums_[entry.group] +=
        {count, touches ? count : 0, count * entry.bin.hits + nearer, count * entry.bin.misses, nearer};
  }
}

JointCounts JointCounts::of_groups(std::span<const std::uint32_t> groups) const {
  JointCounts kept;
  kept.bins_ = bins_;
  for (const std::uint32_t group : groups) kept.sums_.push_back(sums_[group]);
  for (std::size_t bin = 0; bin < bins_.size(); ++bin) {
    for (const std::uint32_t group : groups) kept.counts_.push_back(counts(bin)[group]);
    for (std::size_t g = 0; nested() && g < groups.size(); ++g) kept.nearer_.push_back(nearer(bin)[groups[g]]);
  }
  return kept;
}

JointCounts JointCounts::pooled(std::uint32_t first, std::uint32_t end) const {
  JointCounts one;
  one.sums_.emplace_back();
  for (std::uint32_t group = first; group < end; ++group) one.sums_.front() += sums_[group];
  for (std::size_t bin = 0; bin < bins_.size(); ++bin) {
    const auto sum = [&](std::span<const double> all) {
      return std::accumulate(all.begin() + first, all.begin() + end, 0.0);
    };
    const double count = sum(counts(bin));
    if (count == 0) continue;
    one.bins_.push_back(bins_[bin]);
    one.counts_.push_back(count);
    if (nested()) one.nearer_.push_back(sum(nearer(bin)));
  }
  return one;
}

}  // namespace moecarlo::hw
