#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/cli/commands.hpp"
#include "host/cli/terminal.hpp"
#include "host/support/json_keys.hpp"
#include "hw/machine/system.hpp"
#include "hw/presets/preset.hpp"

namespace moecarlo::cli {
namespace {

using Json = nlohmann::ordered_json;
using hw::Resource;
using hw::System;

struct SystemsOptions {
  std::string name;
  bool json = false;
};

Json rates(const Resource& resource, const char* amount) {
  return {{fmt::format("{}s_per_second", amount), 1 / resource.seconds_per},
          {fmt::format("joules_per_{}", amount), resource.joules_per},
          {"latency_seconds", resource.message_seconds}};
}

std::map<std::string, std::size_t> statuses(const System& system) {
  std::map<std::string, std::size_t> counts;
  for (const hw::Constant& constant : system.preset.constants) ++counts[constant.status];
  return counts;
}

Json to_json(const System& system, bool with_constants) {
  Json tiers = Json::array(), units = Json::array(), links = Json::array();
  for (std::size_t tier = 0; tier < system.tiers.size(); ++tier) {
    Json own{{"name", system.tiers[tier].name}, {"capacity_bytes", system.tiers[tier].capacity_bytes}};
    add_members(own, rates(system.resources[system.tiers[tier].read], "byte"));
    tiers.push_back(own);
  }
  for (const hw::Unit& unit : system.units) {
    Json sees = Json::array();
    for (std::size_t tier = 0; tier < system.tiers.size(); ++tier) {
      if (!unit.sees(tier)) continue;
      std::vector<std::string> crossed;
      double slowest = 0;
      for (const std::uint8_t resource : unit.paths[tier]) {
        crossed.push_back(system.resources[resource].table);
        slowest = std::max(slowest, system.resources[resource].seconds_per);
      }
      sees.push_back({{"tier", system.tiers[tier].name}, {"through", crossed}, {"bytes_per_second", 1 / slowest}});
    }
    Json own{{"name", unit.name}, {"bits_per_pass", unit.bits_per_pass}, {"sees", sees}};
    add_members(own, rates(system.resources[unit.operations], "operation"));
    units.push_back(own);
  }
  for (const Resource& resource : system.resources) {
    if (resource.kind != hw::ResourceKind::link) continue;
    Json own{{"name", resource.table}};
    add_members(own, rates(resource, "byte"));
    links.push_back(own);
  }
  Json json{{"name", system.name},
            {"file", system.preset.file},
            {"devices", system.devices.count},
            {"tiers", tiers},
            {"units", units},
            {"links", links},
            {"statuses", statuses(system)}};
  if (const auto& device = system.draft_device) {
    const Resource& store = system.resources[device->store];
    json["drafting"] = {{"unit", system.units[device->unit].name},
                        {"store", store.table},
                        {"capacity_bytes", device->capacity_bytes},
                        {"link", system.resources[device->link].table},
                        {"prefix", device->prefix},
                        {"reuse", device->reuse}};
    add_members(json["drafting"], rates(store, "byte"));
  }
  if (!with_constants) return json;
  for (const hw::Constant& constant : system.preset.constants) {
    json["constants"].push_back({{"key", constant.key},
                                 {"value", constant.value},
                                 {"unit", constant.unit},
                                 {"status", constant.status},
                                 {"source", constant.source}});
  }
  return json;
}

std::string tier_text(const System& system, const hw::Tier& tier) {
  return fmt::format("{} {:.4g} GB at {:.4g} GB/s", tier.name, tier.capacity_bytes / 1e9,
                     1e-9 / system.resources[tier.read].seconds_per);
}

std::string status_text(const System& system) {
  std::vector<std::string> words;
  for (const auto& [status, count] : statuses(system)) words.push_back(fmt::format("{} {}", count, status));
  return fmt::format("{}", fmt::join(words, ", "));
}

void print_line(const System& system) {
  std::vector<std::string> tiers;
  for (const hw::Tier& tier : system.tiers) tiers.push_back(tier_text(system, tier));
  say("{:<16} {:<58} {}\n", system.name, fmt::format("{}", fmt::join(tiers, ", ")), status_text(system));
}

void print_whole(const System& system) {
  print_line(system);
  for (const hw::Unit& unit : system.units) {
    std::vector<std::string> sees;
    for (std::size_t tier = 0; tier < system.tiers.size(); ++tier) {
      if (unit.sees(tier)) sees.push_back(system.tiers[tier].name);
    }
    const auto& device = system.draft_device;
    if (device && &unit == &system.units[device->unit]) {
      const Resource& store = system.resources[device->store];
      sees.push_back(fmt::format("{} {:.4g} GB at {:.4g} GB/s, and drafts", store.table, device->capacity_bytes / 1e9,
                                 1e-9 / store.seconds_per));
    }
    say("unit {}: {:.4g} TOPS at {:g} bits a pass, sees {}\n", unit.name,
        1e-12 / system.resources[unit.operations].seconds_per, unit.bits_per_pass, fmt::join(sees, ", "));
  }
  for (const Resource& resource : system.resources) {
    if (resource.kind != hw::ResourceKind::link) continue;
    say("link {}: {:.4g} GB/s, {:g} us a message\n", resource.table, 1e-9 / resource.seconds_per,
        1e6 * resource.message_seconds);
  }
  for (const hw::Constant& constant : system.preset.constants) {
    say("{:<24} {:>10} {:<7} {:<10} {}\n", constant.key, constant.value, constant.unit, constant.status,
        constant.source);
  }
}

void show(const SystemsOptions& options) {
  std::vector<System> systems;
  if (options.name.empty()) {
    for (const std::string& name : hw::preset_names("systems")) systems.push_back(hw::read_system(name));
  } else {
    systems.push_back(hw::read_system(options.name));
  }
  if (options.json) {
    Json json{{"systems", Json::array()}};
    for (const System& system : systems) json["systems"].push_back(to_json(system, !options.name.empty()));
    say_json(json);
  } else if (!options.name.empty()) {
    print_whole(systems.front());
  } else {
    for (const System& system : systems) print_line(system);
  }
}

}  // namespace

void add_systems(CLI::App& app, const Common&) {
  auto options = std::make_shared<SystemsOptions>();
  CLI::App* command =
      app.add_subcommand("systems", "Machines that are described: tiers, rates, where numbers are from");
  command->add_option("NAME", options->name, "One of them, or a file: all its constants with their sources");
  command->add_flag("--json", options->json, "Print JSON on stdout");
  command->footer("Example: moecarlo systems rtx4090-ddr5");
  command->callback([options] { show(*options); });
}

}  // namespace moecarlo::cli
