#include "host/report/results/summary.hpp"
#include "tests/fuzz/refusable.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace moecarlo;
  return fuzz::refusable(data, size, [](const std::string& text) { parse_summary(text, "summary.json"); });
}
