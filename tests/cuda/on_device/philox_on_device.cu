#include "tests/cuda/on_device/philox_on_device.hpp"

#include "cuda/core/random.hpp"
#include "cuda/device_memory.hpp"

namespace moecarlo::testing {
namespace {

__global__ void make_blocks(const std::uint32_t* inputs, std::uint32_t count, std::uint32_t* blocks) {
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count) return;
  const std::uint32_t* const in = inputs + 6 * i;
  const RandomBlock one = philox(in[0], in[1], in[2], in[3], in[4], in[5]);
  const RandomBlock other = philox(in[0], in[1], in[2], in[3], PhiloxKeys::of(in[4], in[5]));
  for (std::uint32_t w = 0; w < 4; ++w) {
    blocks[8 * i + w] = one.word[w];
    blocks[8 * i + 4 + w] = other.word[w];
  }
}

}  // namespace

std::vector<std::uint32_t> philox_on_device(const std::vector<std::uint32_t>& inputs) {
  choose_device(0);
  const auto count = static_cast<std::uint32_t>(inputs.size() / 6);
  const DeviceArray<std::uint32_t> in(inputs), out(std::size_t{8} * count);
  make_blocks<<<(count + 127) / 128, 128>>>(in.data(), count, out.data());
  check_cuda(cudaGetLastError(), "launching Philox");
  std::vector<std::uint32_t> blocks(out.size());
  out.copy_to(blocks.data());
  return blocks;
}

}  // namespace moecarlo::testing
