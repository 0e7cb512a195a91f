#pragma once

#include <cstdint>
#include <vector>

#include "cuda/core/request_batches.hpp"
#include "host/simulate/plan.hpp"
#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// Which tokens a batch holds.
struct RequestShape {
  std::uint64_t requests = 256;
  std::uint32_t columns = 1;  ///< neighbouring tokens of each
  bool chunks = false;        ///< they begin at a multiple of `columns`, as chunks of a prompt do
};

/// Owns what RequestBatches of a table point to.
class RequestDraws {
 public:
  /// Throws usage where no sequence has `columns` tokens. `plan`: whose populations are drawn from; it and the table
  /// must outlive this.
  RequestDraws(const RoutingTable& table, const Plan& plan, std::uint32_t seed, const RequestShape& shape);

  const RequestBatches& view() const { return batches_; }

  static constexpr std::uint32_t kMostBatches = DrawAddress::kRounds;  ///< of a series

 private:
  std::vector<StartTable> tables_;
  std::vector<std::uint32_t> cumulative_;
  RequestBatches batches_;
};

/// The batches of one series, drawn one after the other.
class SeriesWalk {
 public:
  SeriesWalk(const RequestBatches& batches, Stream stream, std::uint64_t number);
  /// Of the next batch, [layers][experts] tokens.
  const std::vector<std::uint32_t>& next();

 private:
  const RequestBatches& batches_;
  RequestSeries series_;
  std::uint32_t batch_ = 0;
  std::vector<Place> places_;
  std::vector<std::uint32_t> counters_, loads_;  ///< by place in a row; [layers][experts]
};

}  // namespace moecarlo
