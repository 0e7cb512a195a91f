#pragma once

#include <cstdint>
#include <vector>

#include "host/simulate/plan.hpp"
#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// Which tokens a batch holds.
struct RequestShape {
  std::uint64_t requests = 256;
  std::uint32_t columns = 1;  ///< neighbouring tokens of each
  bool chunks = false;        ///< they begin at a multiple of `columns`, as chunks of a prompt do
};

/// Where the requests of a batch stand, and what they choose. Requests begin at uniform places of a population's
/// sequences, independent of each other; in a batch that follows another each goes on behind its tokens, and where its
/// sequence has no more for it, in one that is drawn uniformly.
class RequestDraws {
 public:
  /// Throws usage where no sequence has `columns` tokens. `plan`: whose populations are drawn from; it must outlive
  /// this.
  RequestDraws(const RoutingTable& table, const Plan& plan, std::uint32_t seed, const RequestShape& shape);

  /// One family member's requests.
  class Walk {
   public:
    Walk(const RequestDraws& draws, const TrajectoryId& id);
    /// Of the next batch, [layers][experts] tokens by rank.
    const std::vector<std::uint32_t>& next();

   private:
    Place drawn(std::uint64_t request) const;
    void move_on(std::uint64_t request, Place& place) const;
    DrawAddress address(std::uint64_t request) const;

    const RequestDraws& draws_;
    TrajectoryId id_;
    StartView starts_;
    std::uint32_t batch_ = 0;
    std::vector<Place> places_;
    std::vector<std::uint32_t> loads_;
  };

  static constexpr std::uint32_t kMostBatches = DrawAddress::kRounds;  ///< of a walk

 private:
  void add(std::uint32_t token, std::vector<std::uint32_t>& loads) const;

  const RoutingTable& table_;
  PlanView view_;
  std::uint32_t seed_;
  RequestShape shape_;
  std::uint32_t unit_;    ///< tokens from one place where a request may begin to the next
  std::uint32_t stride_;  ///< such places that a request goes on by
  /// [populations] places where requests may begin: of those entries that have any, in their order, places before each.
  std::vector<std::vector<std::uint32_t>> cumulative_;
};

}  // namespace moecarlo
