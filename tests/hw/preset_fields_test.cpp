#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "host/support/error.hpp"
#include "hw/machine/system.hpp"

namespace moecarlo::hw {
namespace {

/// Every number that a machine was made with.
std::string numbers_of(const System& system) {
  std::string text;
  for (const Resource& r : system.resources)
    text += fmt::format("{} {} {} {} {} {}\n", r.name, r.seconds_per, r.joules_per, r.message_seconds, r.page_bytes,
                        r.groups);
  for (const Tier& tier : system.tiers) text += fmt::format("{} {}\n", tier.name, tier.capacity_bytes);
  for (const Unit& unit : system.units)
    text +=
        fmt::format("{} {} {} {} {}\n", unit.name, unit.bits_per_pass, unit.decode, unit.elements, unit.output_bytes);
  if (const auto& helper = system.helper)
    text += fmt::format("helper {} {} {} {}\n", helper->dense_share, helper->cache_share, helper->capacity_bytes,
                        helper->works_beside);
  if (const auto& device = system.draft_device)
    text += fmt::format("drafts {} {} {}\n", device->capacity_bytes, device->prefix, device->reuse);
  const Misses& misses = system.misses;
  const Overheads& overheads = system.overheads;
  return text + fmt::format("{} {} {} {} {} {} {} {} {} {} {}\n", misses.in_place, misses.fetch, misses.there,
                            system.prefetch.layers, system.prefetch.recall, system.prefetch.precision, overheads.pass,
                            overheads.layer, overheads.managed_layer, system.devices.count, system.watts());
}

/// Other values that the constant may take.
std::vector<double> others(const Constant& constant) {
  const double value = constant.value;
  if (constant.unit == "count") return {value + 1, std::max(1.0, std::floor(value / 2))};
  if (constant.unit == "share") return {value / 2, value == 0 ? 1.0 : 0.0};
  return {value == 0 ? 1 : value / 2};
}

/// A value that is refused was read too: shares of the misses add up to 1.
bool matters(const Preset& preset, const std::string& own, const Constant& constant, double value) {
  try {
    return numbers_of(make_system(with_value(preset, constant.key, value))) != own;
  } catch (const Error&) {
    return true;
  }
}

TEST(Presets, EveryConstantOfEveryMachineChangesTheMachine) {
  std::size_t constants = 0;
  for (const std::string& name : preset_names("systems")) {
    const Preset preset = read_preset(find_preset("systems", name));
    const std::string own = numbers_of(make_system(preset));
    for (const Constant& constant : preset.constants) {
      ++constants;
      const std::vector<double> values = others(constant);
      EXPECT_TRUE(std::any_of(values.begin(), values.end(),
                              [&](double value) { return matters(preset, own, constant, value); }))
          << name << ": " << constant.key << " is read and makes no difference";
    }
  }
  EXPECT_GT(constants, 300U);
}

/// Published is what a source says; what we compute from it is derived, and machines that the source does not describe
/// are assumed.
TEST(Presets, MemoryOfAHostIsPublishedOnlyWhereItIsPartOfTheProduct) {
  for (const std::string& name : preset_names("systems")) {
    const Preset preset = read_preset(find_preset("systems", name));
    for (const Constant& constant : preset.constants) {
      const bool bus = constant.source.find("PCI Express") != std::string::npos;
      const bool module = constant.source.find("JEDEC") != std::string::npos;
      if (bus || module) {
        EXPECT_NE(constant.status, "published") << name << ": " << constant.key;
      }
      EXPECT_GT(constant.source.size(), 5U) << name << ": " << constant.key;
    }
  }
}

}  // namespace
}  // namespace moecarlo::hw
