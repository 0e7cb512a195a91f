#pragma once

#include <optional>
#include <string>
#include <vector>

#include "host/simulate/tallies.hpp"

namespace moecarlo {

/// Puts the shards of a study together, in any order.
class ShardSum {
 public:
  /// Throws an input error, with `name` in it, on tallies that are unfinished, of another study, trace or program, no
  /// shard at all, or one that has been added already.
  void add(const std::string& name, Tallies shard, std::vector<JointBins> joints, const Provenance& provenance);

  /// What one run would have counted; no shard can be added after that. Throws an input error where some are missing.
  Tallies whole();
  const std::vector<JointBins>& joints() const { return joints_; }  ///< [cells] of the whole
  const Provenance& provenance() const { return provenance_; }

 private:
  void check(const std::string& name, const Tallies& shard, const std::vector<JointBins>& joints,
             const Provenance& provenance) const;

  std::optional<Tallies> sum_;
  std::vector<JointBins> joints_;
  Provenance provenance_;
  std::string first_;               ///< name of the first shard
  std::vector<std::string> added_;  ///< [shards] names; empty where a shard is missing
};

}  // namespace moecarlo
