#include "cuda/device_choice.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <numeric>

namespace moecarlo {
namespace {

std::optional<DeviceCode> parse(std::string_view name) {
  DeviceCode code;
  const char* const end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data(), end, code.capability);
  if (error != std::errc{}) return {};
  std::string_view suffix(rest, static_cast<std::size_t>(end - rest));
  if (!suffix.empty() && suffix.front() != '-') {
    code.exact = suffix.front() == 'a';
    suffix.remove_prefix(1);
  }
  code.portable = suffix != "-real";
  code.binary = suffix != "-virtual";
  return code;
}

std::string expected_text(const std::vector<DeviceCode>& code) {
  std::vector<std::string> names;
  const auto lowest = std::min_element(
      code.begin(), code.end(), [](const DeviceCode& a, const DeviceCode& b) { return a.capability < b.capability; });
  if (lowest->portable && !lowest->exact) return fmt::format("sm_{} or newer", lowest->capability);
  for (const DeviceCode& one : code) names.push_back(fmt::format("sm_{}{}", one.capability, one.exact ? "a" : ""));
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

bool DeviceCode::runs_on(int device) const {
  if (exact) return device == capability;
  return (binary && device / 10 == capability / 10 && device >= capability) || (portable && device >= capability);
}

std::vector<DeviceCode> device_code(std::string_view architectures) {
  std::vector<DeviceCode> code;
  while (!architectures.empty()) {
    const std::size_t blank = std::min(architectures.find(' '), architectures.size());
    if (blank > 0) {
      const auto one = parse(architectures.substr(0, blank));
      if (!one) return {};
      code.push_back(*one);
    }
    architectures.remove_prefix(std::min(blank + 1, architectures.size()));
  }
  return code;
}

std::vector<int> devices_with_code(const std::vector<DeviceFacts>& devices, const std::vector<DeviceCode>& code) {
  std::vector<int> numbers(devices.size());
  std::iota(numbers.begin(), numbers.end(), 0);
  std::erase_if(numbers, [&](int number) {
    const int capability = devices[static_cast<std::size_t>(number)].capability;
    return !code.empty() &&
           std::none_of(code.begin(), code.end(), [&](const DeviceCode& one) { return one.runs_on(capability); });
  });
  return numbers;
}

std::string no_code_text(const DeviceFacts& device, const std::vector<DeviceCode>& code) {
  return fmt::format("this build has no code for {} (expected {}, found sm_{})", device.name, expected_text(code),
                     device.capability);
}

std::optional<int> device_for(std::string_view backend, std::optional<std::uint32_t> wanted,
                              const std::vector<int>& usable, std::uint32_t rank) {
  if (backend == "cpu") return {};
  if (wanted) {
    const int device = static_cast<int>(*wanted);
    const bool found = std::find(usable.begin(), usable.end(), device) != usable.end();
    return found || backend == "cuda" ? std::optional(device) : std::nullopt;
  }
  if (!usable.empty()) return usable[rank % usable.size()];
  return backend == "cuda" ? std::optional(0) : std::nullopt;
}

}  // namespace moecarlo
