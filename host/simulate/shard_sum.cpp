#include "host/simulate/shard_sum.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "host/support/error.hpp"

namespace moecarlo {

namespace {

/// Whether the cells have equal numbers of joint histograms.
bool as_many(const std::vector<JointBins>& a, const std::vector<JointBins>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const JointBins& one, const JointBins& other) {
    return one.first.size() == other.first.size();
  });
}

}  // namespace

void ShardSum::check(const std::string& name, const Tallies& shard, const std::vector<JointBins>& joints,
                     const Provenance& provenance) const {
  if (shard.shard.is_whole()) {
    fail(ErrorKind::input, "{}: no shard (expected one of several, found a study as a whole)", name);
  }
  if (!provenance.finished) {
    fail(ErrorKind::input, "{}: shard {} is not finished (expected a finished one; go on with simulate --resume)", name,
         shard.shard.text());
  }
  if (!sum_) return;
  if (provenance.study_toml != provenance_.study_toml || provenance.trace_json != provenance_.trace_json ||
      shard.counters.size() != sum_->counters.size() || shard.layout.size != sum_->layout.size ||
      !as_many(joints, joints_)) {
    fail(ErrorKind::input, "{}: a shard of another study (expected the study, and the trace at the path, of {})", name,
         first_);
  }
  if (provenance.program != provenance_.program) {
    fail(ErrorKind::input, "{}: a shard of another program (expected {}, found {})", name, provenance_.program,
         provenance.program);
  }
  if (shard.shard.count != added_.size()) {
    fail(ErrorKind::input, "{}: shard {} (expected one of {}, as {} is)", name, shard.shard.text(), added_.size(),
         first_);
  }
  if (const std::string& other = added_[shard.shard.index]; !other.empty()) {
    fail(ErrorKind::input, "{}: shard {} is there already (expected each once, found it in {} too)", name,
         shard.shard.text(), other);
  }
}

void ShardSum::add(const std::string& name, Tallies shard, std::vector<JointBins> joints,
                   const Provenance& provenance) {
  check(name, shard, joints, provenance);
  const Shard place = shard.shard;
  if (!sum_) {
    sum_ = std::move(shard);
    joints_ = std::move(joints);
    provenance_ = provenance;
    first_ = name;
    added_.resize(place.count);
  } else {
    std::transform(shard.counters.begin(), shard.counters.end(), sum_->counters.begin(), sum_->counters.begin(),
                   std::plus<>());
    for (std::size_t cell = 0; cell < joints_.size(); ++cell) moecarlo::add(joints_[cell], joints[cell]);
    if (shard.prefill) sum_->prefill = shard.prefill;
    if (shard.mixed) sum_->mixed = shard.mixed;
    sum_->trajectories += shard.trajectories;
    sum_->replicate_trajectories += shard.replicate_trajectories;
  }
  added_[place.index] = name;
}

Tallies ShardSum::whole() {
  std::vector<std::string> missing;
  for (std::uint32_t index = 0; index < added_.size(); ++index) {
    if (added_[index].empty()) missing.push_back(Shard{index, static_cast<std::uint32_t>(added_.size())}.text());
  }
  if (!missing.empty() || !sum_) {
    fail(ErrorKind::input, "{}: shards are missing (expected all {} of the study, {} to go: {})", first_, added_.size(),
         missing.size(), fmt::join(missing, ", "));
  }
  Tallies whole = std::move(*sum_);
  whole.shard = {};
  return whole;
}

}  // namespace moecarlo
