#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "host/simulate/tallies.hpp"
#include "hw/plan/workload.hpp"

namespace moecarlo::hw {

/// A design point whose joint histogram was counted.
struct CountedPoint {
  std::uint32_t cell = 0;   ///< of the tallies
  std::uint32_t joint = 0;  ///< of their layout
  Policy policy{};
  Capacity capacity;
  std::uint32_t nested = kNoJoint;  ///< of their layout: what a nearer tier holds of it, where that was counted with it

  friend bool operator==(const CountedPoint& a, const CountedPoint& b) {
    return a.joint == b.joint && a.nested == b.nested;
  }
};

/// The requests of a cell's batch; places of a chunk are none.
inline std::uint32_t requests_of(const CellShape& cell) {
  return cell.batch - cell.chunk_requests;
}

/// The design points of the tallies that hardware can be projected onto, and their workloads. Tallies and joint
/// histograms must outlive it.
class CountedPoints {
 public:
  CountedPoints(const Tallies& tallies, const std::vector<JointBins>& joints) : CountedPoints(tallies, joints, {}) {}
  /// Of mixed rounds, which take this chunk along in the mean: see Workload::mixed.
  CountedPoints(const Tallies& tallies, const std::vector<JointBins>& joints, std::optional<PromptChunk> chunk);

  /// None where no joint histogram of this capacity was counted at this batch and depth. `bits` and `alpha` choose
  /// among cells where they have cells of their own. `demand`: what its columns ask for, as files name it.
  std::optional<CountedPoint> find_counted(std::uint32_t batch, std::uint32_t depth, Policy policy, std::uint32_t bits,
                                           const Capacity& capacity, std::optional<double> alpha,
                                           const std::string& demand) const;

  /// The same; throws a usage error where there is none: the study was simulated for other hardware. `asked_by` names
  /// the system and scheme that want it.
  CountedPoint find(std::uint32_t batch, std::uint32_t depth, Policy policy, std::uint32_t bits,
                    const Capacity& capacity, const std::string& asked_by, std::optional<double> alpha = {},
                    const std::string& demand = "all") const;

  /// What columns ask for, in the order of the study.
  const std::vector<std::string>& demands() const { return demands_; }
  /// Of what they chose the gate mass that is dropped; null where nothing is, or gates are not known.
  std::optional<double> dropped_mass(const CountedPoint& point) const;

  /// The next smaller and the next larger capacity that were counted of the same batch, depth, policy and bits.
  std::optional<CountedPoint> smaller(const CountedPoint& point) const;
  std::optional<CountedPoint> larger(const CountedPoint& point) const;

  /// The point with the hits of this nearer tier told apart; as it is, where the two walk paths of their own.
  CountedPoint within(CountedPoint point, const Capacity& nearer) const;

  /// The counted workload of a point.
  Workload workload(const CountedPoint& point) const;

  /// The same for drafts with unrestricted routing, of a chain: a draft step touches what an autoregressive step does,
  /// which is `step`, with the same policy and capacity.
  Workload workload(const CountedPoint& point, const CountedPoint& step) const;

 private:
  /// Batch, depth, bits, alpha and demand of the cell, policy, capacity.
  using Key =
      std::tuple<std::uint32_t, std::uint32_t, std::uint32_t, std::optional<double>, std::string, Policy, Capacity>;
  Key key_of(const CountedPoint& point) const;
  std::vector<double> tokens_per_expert(const CountedPoint& point) const;
  std::map<std::uint32_t, Foreseen> foreseen(const CountedPoint& point, std::size_t number) const;
  JointCounts verify_counts(const CountedPoint& point, std::uint32_t number) const;
  LayerClassCounts layer_class(const CountedPoint& point, std::uint32_t number, std::uint32_t first,
                               std::uint32_t end) const;
  std::vector<LayerClassCounts> classes(const CountedPoint& point) const;
  std::vector<AskedSums> asked(const CountedPoint& point, std::size_t number) const;

  Workload whole_workload(const CountedPoint& point) const;
  Workload told_apart(const Workload& workload) const;

  const Tallies& tallies_;
  const std::vector<JointBins>& joints_;  ///< [cells]
  std::map<Key, CountedPoint> points_;
  std::vector<std::string> demands_;
  std::optional<PromptChunk> chunk_;
};

}  // namespace moecarlo::hw
