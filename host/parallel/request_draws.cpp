#include "host/parallel/request_draws.hpp"

#include <algorithm>

#include "host/support/error.hpp"

namespace moecarlo {

RequestDraws::RequestDraws(const RoutingTable& table, const Plan& plan, std::uint32_t seed, const RequestShape& shape) {
  const PlanView view = plan.view();
  batches_.masks = ViewArray<std::uint64_t>::of(table.masks);
  batches_.expert_of_rank = ViewArray<std::uint16_t>::of(table.expert_of_rank);
  batches_.layers = table.layers;
  batches_.experts = table.experts;
  batches_.words = static_cast<std::uint32_t>(table.words);
  batches_.entries = view.entries;
  batches_.groups = view.groups;
  batches_.seed = seed;
  batches_.requests = shape.requests;
  batches_.columns = shape.columns;
  batches_.unit = shape.chunks ? shape.columns : 1;
  batches_.stride = shape.chunks ? 1 : shape.columns;
  for (std::uint32_t population = 0; population < 1 + view.groups.populations; ++population) {
    // Of those entries that have places, in their order, the places before each.
    StartTable own = view.start_tables[view.cells[0].first_start + population];
    const Sequence* const entries = view.entries + own.first_entry;
    own.first_cumulative = cumulative_.size();
    cumulative_.push_back(0);
    std::uint32_t entry = 0;
    for (; entry < own.eligible && entries[entry].length >= shape.columns; ++entry) {
      cumulative_.push_back(cumulative_.back() + (entries[entry].length - shape.columns) / batches_.unit + 1);
    }
    if (entry == 0) {
      fail(ErrorKind::usage, "{}: no evaluation sequence has {} tokens, those of a request", table.info.path,
           shape.columns);
    }
    own.eligible = entry;
    tables_.push_back(own);
  }
  batches_.tables = ViewArray<StartTable>::of(tables_);
  batches_.cumulative = ViewArray<std::uint32_t>::of(cumulative_);
}

SeriesWalk::SeriesWalk(const RequestBatches& batches, Stream stream, std::uint64_t number)
    : batches_(batches),
      series_(batches.series(stream, number)),
      places_(batches.requests),
      counters_(std::size_t{64} * batches.row_words()),
      loads_(std::size_t{batches.layers} * batches.experts) {}

const std::vector<std::uint32_t>& SeriesWalk::next() {
  std::fill(counters_.begin(), counters_.end(), 0);
  const std::uint32_t row_words = batches_.row_words();
  const auto count = [counters = counters_.data()](std::uint32_t counter) { ++counters[counter]; };
  for (std::uint64_t request = 0; request < batches_.requests; ++request) {
    places_[request] = batches_.stand(series_, batch_, request, places_[request]);
    const std::uint32_t first = batches_.first_token(series_, places_[request]);
    for (std::uint32_t column = 0; column < batches_.columns; ++column) {
      const std::uint64_t* const row = batches_.masks + std::size_t{first + column} * row_words;
      for (std::uint32_t word = 0; word < row_words; ++word) batches_.count_word(row[word], 64 * word, count);
    }
  }
  ++batch_;
  for (std::uint32_t layer = 0; layer < batches_.layers; ++layer) {
    const std::size_t first = std::size_t{layer} * batches_.experts;
    const std::uint32_t* const by_rank = counters_.data() + std::size_t{64} * batches_.words * layer;
    for (std::uint32_t rank = 0; rank < batches_.experts; ++rank) {
      loads_[first + batches_.expert_of_rank[first + rank]] = by_rank[rank];
    }
  }
  return loads_;
}

}  // namespace moecarlo
