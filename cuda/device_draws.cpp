#include "cuda/device_draws.hpp"

#include <algorithm>
#include <optional>

#include "cuda/device_memory.hpp"
#include "cuda/device_pairs.hpp"
#include "cuda/kernels/request_batches.hpp"

namespace moecarlo {
namespace {

// Of the series that are drawn at once: balancers remember batches of each.
constexpr std::uint64_t kMostBytes = std::uint64_t{256} << 20;
constexpr std::uint64_t kMostSeries = 256;

class Draws final : public DeviceDraws {
 public:
  Draws(const RequestBatches& batches, bool sorted) : size_(std::size_t{batches.layers} * batches.experts) {
    task_.batches = OnDevice<RequestBatches>(batches);
    task_.batches.each([&]<class T>(ViewArray<T>& array) {
      const auto* bytes = reinterpret_cast<const std::byte*>(array.data);
      arrays_.emplace_back(bytes, array.size * sizeof(T));
      array.data = reinterpret_cast<const T*>(arrays_.back().data());
    });
    const std::uint64_t bytes = batches.requests * (sizeof(Place) + sizeof(std::uint32_t)) +
                                size_ * (sizeof(std::uint32_t) + (sorted ? kSortedBytes : 0));
    at_once_ = std::clamp<std::uint64_t>(kMostBytes / bytes, 1, kMostSeries);
    places_ = DeviceArray<Place>(at_once_ * batches.requests);
    first_tokens_ = DeviceArray<std::uint32_t>(places_.size());
    loads_ = DeviceArray<std::uint32_t>(at_once_ * size_);
    if (sorted) pairs_.emplace(loads_.size());
    task_.places = places_.data();
    task_.first_tokens = first_tokens_.data();
    task_.loads = loads_.data();
  }

  std::uint64_t at_once() const override { return at_once_; }

  void begin(Stream stream, std::uint64_t first, std::uint64_t last) override {
    task_.stream = stream;
    task_.first = first;
    task_.series = static_cast<std::uint32_t>(last - first);
    task_.batch = 0;
    drawn_.loads.resize(task_.series * size_);
    if (pairs_) drawn_.by_load.resize(drawn_.loads.size());
  }

  const DrawnBatches& next() override {
    loads_.clear();
    check_cuda(launch_batches(task_, nullptr), "launching the draws of batches");
    ++task_.batch;
    if (pairs_) {  // a layer of a batch is sorted as one of a table is ranked
      check_cuda(launch_rank_keys(loads_.data(), task_.series * task_.batches.layers, task_.batches.experts,
                                  pairs_->buffers(), nullptr),
                 "launching the order of loads");
      pairs_->sort(drawn_.by_load.size());
      pairs_->device_values().copy_to(drawn_.by_load.data(), drawn_.by_load.size());
    }
    loads_.copy_to(drawn_.loads.data(), drawn_.loads.size());
    return drawn_;
  }

 private:
  static constexpr std::uint64_t kSortedBytes = 2 * (sizeof(std::uint64_t) + sizeof(std::uint32_t));

  std::size_t size_;  ///< layers x experts
  std::vector<DeviceArray<std::byte>> arrays_;
  std::uint64_t at_once_ = 1;
  DeviceArray<Place> places_;
  DeviceArray<std::uint32_t> first_tokens_, loads_;
  std::optional<DevicePairs> pairs_;
  BatchTask task_;
  DrawnBatches drawn_;
};

}  // namespace

std::unique_ptr<DeviceDraws> make_device_draws(const RequestBatches& batches, bool sorted, int device) {
  choose_device(device);
  return std::make_unique<Draws>(batches, sorted);
}

}  // namespace moecarlo
