#include "cuda/device_selector.hpp"

#include <vector>

#include "cuda/device_memory.hpp"
#include "cuda/kernels/select.hpp"
#include "host/support/float16.hpp"

namespace moecarlo {
namespace {

/// The score of every float16 but NaN and the infinities, by its bits.
std::vector<float> scores_of_float16(const ScoringRule& rule) {
  std::vector<float> scores(65536);
  for (std::uint32_t bits = 0; bits < scores.size(); ++bits) {
    const auto stored = static_cast<std::uint16_t>(bits);
    if (float16_is_finite(stored)) scores[bits] = own_score(rule.scoring, float16_to_float(stored));
  }
  return scores;
}

class DeviceSelector final : public ExpertSelector {
 public:
  explicit DeviceSelector(const StoredLogits& logits)
      : layers_(logits.layers), row_bytes_(logits.rule.experts * (logits.float16 ? 2 : 4)), bias_(logits.bias) {
    select_.float16 = logits.float16;
    select_.layers = logits.layers;
    select_.experts = logits.rule.experts;
    select_.top_k = logits.rule.top_k;
    select_.num_groups = logits.rule.num_groups;
    select_.top_k_groups = logits.rule.top_k_groups;
    if (bias_.size() > 0) select_.bias = bias_.data();
    if (bias_.size() > 0 && logits.rule.scoring == Scoring::sigmoid) {
      scores_ = DeviceArray<float>(scores_of_float16(logits.rule));
      select_.score_of_float16 = scores_.data();
    }
  }

  std::optional<std::uint64_t> select(const void* logits, std::uint64_t tokens, std::span<std::uint16_t> ids) override {
    select_.rows = tokens * layers_;
    if (select_.rows * row_bytes_ > logits_.size()) {
      logits_ = DeviceArray<std::uint8_t>(select_.rows * row_bytes_);
      ids_ = DeviceArray<std::uint16_t>(ids.size());
    }
    select_.logits = logits_.data();
    select_.ids = ids_.data();
    select_.first_not_finite = first_not_finite_.data();
    check_cuda(cudaMemset(first_not_finite_.data(), 0xff, sizeof(unsigned long long)), "clearing device memory");
    check_cuda(cudaMemcpy(logits_.data(), logits, select_.rows * row_bytes_, cudaMemcpyHostToDevice),
               "copying logits to the device");
    check_cuda(launch_select(select_, nullptr), "launching the choice of experts");
    check_cuda(cudaMemcpy(ids.data(), ids_.data(), ids.size_bytes(), cudaMemcpyDeviceToHost),
               "copying experts from the device");
    unsigned long long first = 0;
    first_not_finite_.copy_to(&first);
    if (first == ~0ULL) return {};
    return first;
  }

 private:
  std::uint32_t layers_;
  std::uint64_t row_bytes_;
  DeviceArray<float> bias_, scores_;
  DeviceArray<std::uint8_t> logits_;
  DeviceArray<std::uint16_t> ids_;
  DeviceArray<unsigned long long> first_not_finite_ = DeviceArray<unsigned long long>(1);
  SelectRows select_;
};

/// Whether a device computes the same scores, bit for bit: logits, and logits or tabled scores plus a bias.
bool serves(const StoredLogits& logits) {
  if (logits.rule.num_groups > 32) return false;
  if (logits.bias.empty() || logits.rule.scoring == Scoring::topk_softmax) return true;
  return logits.rule.scoring == Scoring::sigmoid && logits.float16;
}

}  // namespace

std::unique_ptr<ExpertSelector> make_device_selector(const StoredLogits& logits, int device) {
  if (!serves(logits)) return nullptr;
  choose_device(device);
  return std::make_unique<DeviceSelector>(logits);
}

}  // namespace moecarlo
