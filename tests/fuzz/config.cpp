#include "hw/model/huggingface.hpp"
#include "tests/fuzz/refusable.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace moecarlo;
  return fuzz::refusable_file(data, size, [](const std::filesystem::path& file) { hw::read_huggingface_config(file); });
}
