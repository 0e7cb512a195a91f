#include "cuda/device_selector.hpp"

#include <algorithm>
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

/// One piece of a trace on its way: buffers on both sides, and the stream that its copies and its kernel run in.
struct Piece {
  std::uint64_t tokens = 0;
  PinnedArray<std::uint8_t> logits;
  PinnedArray<std::uint16_t> ids;
  PinnedArray<unsigned long long> first_not_finite = PinnedArray<unsigned long long>(1);
  DeviceArray<std::uint8_t> device_logits;
  DeviceArray<std::uint16_t> device_ids;
  DeviceArray<unsigned long long> device_first_not_finite = DeviceArray<unsigned long long>(1);
  DeviceStream stream;  // destroyed first, which waits
};

class DeviceSelector final : public ExpertSelector {
 public:
  explicit DeviceSelector(const StoredLogits& logits)
      : layers_(logits.layers), token_bytes_(logits.token_bytes()), bias_(logits.bias) {
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
    check_cuda(cudaStreamSynchronize(nullptr), "copying biases to the device");  // the pieces' streams do not wait
  }

  void* room(std::uint64_t tokens) override {
    Piece& piece = pieces_[next_];
    piece.tokens = tokens;
    if (tokens * token_bytes_ > piece.logits.size()) {
      const std::size_t ids = tokens * layers_ * select_.top_k;
      piece.logits = PinnedArray<std::uint8_t>(tokens * token_bytes_);
      piece.ids = PinnedArray<std::uint16_t>(ids);
      piece.device_logits = DeviceArray<std::uint8_t>(tokens * token_bytes_);
      piece.device_ids = DeviceArray<std::uint16_t>(ids);
    }
    return piece.logits.data();
  }

  void begin() override {
    const Piece& piece = pieces_[next_];
    next_ = 1 - next_;
    ++under_way_;
    const cudaStream_t stream = piece.stream.get();
    SelectRows select = select_;
    select.rows = piece.tokens * layers_;
    select.logits = piece.device_logits.data();
    select.ids = piece.device_ids.data();
    select.first_not_finite = piece.device_first_not_finite.data();
    check_cuda(cudaMemsetAsync(select.first_not_finite, 0xff, sizeof(unsigned long long), stream),
               "clearing device memory");
    check_cuda(cudaMemcpyAsync(piece.device_logits.data(), piece.logits.data(), piece.tokens * token_bytes_,
                               cudaMemcpyHostToDevice, stream),
               "copying logits to the device");
    check_cuda(launch_select(select, stream), "launching the choice of experts");
    check_cuda(cudaMemcpyAsync(piece.ids.data(), select.ids, select.rows * select.top_k * sizeof(std::uint16_t),
                               cudaMemcpyDeviceToHost, stream),
               "copying experts from the device");
    check_cuda(cudaMemcpyAsync(piece.first_not_finite.data(), select.first_not_finite, sizeof(unsigned long long),
                               cudaMemcpyDeviceToHost, stream),
               "copying experts from the device");
  }

  std::optional<std::uint64_t> finish(std::span<std::uint16_t> ids) override {
    const Piece& piece = pieces_[under_way_ == 2 ? next_ : 1 - next_];
    --under_way_;
    piece.stream.wait("choosing experts");
    if (*piece.first_not_finite.data() != ~0ULL) return *piece.first_not_finite.data();
    std::copy_n(piece.ids.data(), ids.size(), ids.data());
    return {};
  }

 private:
  std::uint32_t layers_;
  std::uint64_t token_bytes_;
  DeviceArray<float> bias_, scores_;
  SelectRows select_;
  Piece pieces_[2];
  int next_ = 0;       // the piece that room and begin are about
  int under_way_ = 0;  // begun and not finished
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
