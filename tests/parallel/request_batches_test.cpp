#include "cuda/core/request_batches.hpp"

#include "tests/shared/drawn_loads.hpp"

namespace moecarlo {
namespace {

/// What a device does, on the host: the same functions in the order of blocks and threads.
class BlocksInTurn final : public DeviceDraws {
 public:
  BlocksInTurn(const RequestBatches& batches, bool sorted) : batches_(batches), sorted_(sorted) {}

  std::uint64_t at_once() const override { return 4; }

  void begin(Stream stream, std::uint64_t first, std::uint64_t last) override {
    series_.clear();
    for (std::uint64_t number = first; number < last; ++number) series_.push_back(batches_.series(stream, number));
    places_.assign(series_.size() * batches_.requests, {});
    batch_ = 0;
  }

  const DrawnBatches& next() override {
    const std::size_t size = std::size_t{batches_.layers} * batches_.experts;
    drawn_.loads.assign(series_.size() * size, 0);
    for (std::size_t number = 0; number < series_.size(); ++number) {
      std::vector<std::uint32_t> first_tokens;
      for (std::uint64_t request = 0; request < batches_.requests; ++request) {
        Place& place = places_[number * batches_.requests + request];
        place = batches_.stand(series_[number], batch_, request, place);
        first_tokens.push_back(batches_.first_token(series_[number], place));
      }
      for (std::uint32_t span = 0; span < batches_.spans(); ++span) {
        for (std::uint64_t part = 0; part < kParts; ++part) {
          count_block(first_tokens.data(), span, part, drawn_.loads.data() + number * size);
        }
      }
    }
    ++batch_;
    if (sorted_) sort();
    return drawn_;
  }

 private:
  static constexpr std::uint64_t kThreads = 32, kParts = 3;

  void count_block(const std::uint32_t* first_tokens, std::uint32_t span, std::uint64_t part, std::uint32_t* loads) {
    std::vector<std::uint32_t> own(RequestBatches::kSpanCounters, 0);
    for (std::uint64_t thread = 0; thread < kThreads; ++thread) {
      batches_.count_span(first_tokens, span, part * kThreads + thread, kParts * kThreads,
                          [&](std::uint32_t counter) { ++own[counter]; });
    }
    for (std::uint32_t counter = 0; counter < own.size(); ++counter) {
      if (own[counter] == 0) continue;
      const std::size_t load = batches_.load_of(span, counter);
      ASSERT_LT(load, std::size_t{batches_.layers} * batches_.experts);
      loads[load] += own[counter];
    }
  }

  void sort() {
    drawn_.by_load.resize(drawn_.loads.size());
    for (std::size_t first = 0; first < drawn_.loads.size(); first += batches_.experts) {
      const auto begin = drawn_.by_load.begin() + static_cast<std::ptrdiff_t>(first);
      std::iota(begin, begin + batches_.experts, 0U);
      std::stable_sort(begin, begin + batches_.experts, [&](std::uint32_t a, std::uint32_t b) {
        return drawn_.loads[first + a] > drawn_.loads[first + b];
      });
    }
  }

  const RequestBatches& batches_;
  bool sorted_;
  std::vector<RequestSeries> series_;
  std::vector<Place> places_;
  std::uint32_t batch_ = 0;
  DrawnBatches drawn_;
};

TEST(RequestBatches, BlocksCountWhatASeriesIsCountedTo) {
  testing::expect_same_loads(
      [](const RequestBatches& batches, bool sorted) { return std::make_unique<BlocksInTurn>(batches, sorted); });
}

/// Counts that are known without a draw: one sequence of as many tokens as a request has.
TEST(RequestBatches, AChunkThatIsTheWholeSequenceIsCountedAsItIs) {
  testing::TableSpec spec;
  spec.experts = 70;
  spec.layers = 9;
  spec.top_k = 3;
  spec.lengths = {32};
  const RoutingTable table = testing::random_table(spec);
  BatchDraws draws;
  draws.tokens = 64;
  draws.columns = 32;
  draws.chunks = true;
  draws.series = 1;
  for (const bool on_blocks : {false, true}) {
    if (on_blocks) {
      draws.on_device = [](const RequestBatches& batches, bool sorted) {
        return std::make_unique<BlocksInTurn>(batches, sorted);
      };
    }
    const auto loads = testing::drawn_loads(table, draws, false).at(0);
    for (std::uint32_t layer = 0; layer < spec.layers; ++layer) {
      for (std::uint32_t rank = 0; rank < spec.experts; ++rank) {
        const std::size_t at = std::size_t{layer} * spec.experts + rank;
        EXPECT_EQ(loads->at(layer).at(table.expert_of_rank[at]), 2 * table.popularity[at]);
      }
    }
  }
}

}  // namespace
}  // namespace moecarlo
