#include "host/study/parse_study.hpp"
#include "tests/fuzz/refusable.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace moecarlo;
  return fuzz::refusable(data, size, [](const std::string& text) { parse_study(text, "study.toml", "/nowhere"); });
}
