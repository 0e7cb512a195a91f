#include "host/pipeline/spreading.hpp"

#include <algorithm>
#include <charconv>
#include <memory>
#include <numeric>

#include "host/parallel/placement_file.hpp"
#include "host/support/error.hpp"

namespace moecarlo {
namespace {

/// "replicated:12:hierarchical": its words.
std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words{""};
  for (const char c : text) {
    if (c == ':') {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return words;
}

[[noreturn]] void refuse_placement(const std::string& placement) {
  fail(ErrorKind::usage,
       "--placement {} (expected contiguous, popularity, replicated:SLOTS[:global|hierarchical] or a file)", placement);
}

}  // namespace

bool names_file(const std::string& text) {
  return text.find('.') != std::string::npos || text.find('/') != std::string::npos;
}

std::string topology_of(const ParallelQuestion& question) {
  if (!question.topology.empty()) return question.topology;
  const std::string machine = question.machine ? question.machine->devices.topology : "";
  const bool any = machine.empty() || (machine.starts_with("switch") && !question.devices.empty());
  return any ? "switch" : machine;
}

std::vector<std::uint32_t> device_counts(const ParallelQuestion& question) {
  if (!question.devices.empty()) return question.devices;
  return {hw::Topology::parse(topology_of(question), 0).devices()};
}

Spreading::Spreading(const ParallelQuestion& question, std::uint32_t devices)
    : question_(question), topology_(hw::Topology::parse(topology_of(question), devices)), devices_(devices) {
  if (topology_.devices() != devices) {
    fail(ErrorKind::usage, "--topology {} has {} devices (expected {}, as --devices says)", topology_of(question),
         topology_.devices(), devices);
  }
  mapping_ = names_file(question.mapping) ? hw::read_mapping(question.mapping, topology_)
                                          : hw::named_mapping(question.mapping, topology_, question.tensor_parallel);
  if (!question.machine) return;
  if (!question.model) fail(ErrorKind::usage, "--hardware needs --model, which says how large an expert is");
  const hw::LayerTime::Options options{question.source, question.value_bytes, question.overlap};
  time_.emplace(*question.machine, *question.model, topology_, mapping_, options);
}

Hops Spreading::hops() const {
  constexpr std::uint32_t most = 4096;  // devices whose distances fit a table
  if (devices_ > most) return [this](std::uint32_t from, std::uint32_t to) { return topology_.hops(from, to); };
  auto table = std::make_shared<std::vector<std::uint32_t>>();
  for (std::uint32_t from = 0; from < devices_; ++from) {
    for (std::uint32_t to = 0; to < devices_; ++to) table->push_back(topology_.hops(from, to));
  }
  return [table, devices = devices_](std::uint32_t from, std::uint32_t to) {
    return (*table)[std::size_t{from} * devices + to];
  };
}

std::optional<Hierarchy> Spreading::hierarchy(bool always) const {
  if (question_.groups == 0 && !always) return std::nullopt;
  if (question_.groups == 0) fail(ErrorKind::usage, "--placement {} needs --groups", question_.placement);
  return Hierarchy{topology_.nodes(), question_.groups};
}

std::vector<Placement> Spreading::placed(const std::vector<ExpertLoads>& layers) const {
  const auto experts = static_cast<std::uint32_t>(layers[0].size());
  if (names_file(question_.placement)) {
    return read_placement(question_.placement, static_cast<std::uint32_t>(layers.size()), experts, devices_);
  }
  const std::vector<std::string> words = words_of(question_.placement);
  const auto each = [&](const auto& place) {
    std::vector<Placement> placements;
    placements.reserve(layers.size());
    for (const ExpertLoads& loads : layers) placements.push_back(place(loads));
    return placements;
  };
  if (words.size() == 1 && words[0] == "contiguous") {
    return each([&](const ExpertLoads&) { return contiguous_placement(experts, devices_); });
  }
  if (words.size() == 1 && words[0] == "popularity") {
    return each([&](const ExpertLoads& loads) { return popularity_placement(loads, devices_); });
  }
  if (words[0] != "replicated" || words.size() < 2 || words.size() > 3) refuse_placement(question_.placement);
  std::uint32_t slots = 0;
  const auto [end, error] = std::from_chars(words[1].data(), words[1].data() + words[1].size(), slots);
  const bool global = words.size() == 2 || words[2] == "global";
  if (error != std::errc() || end != words[1].data() + words[1].size() || (!global && words[2] != "hierarchical")) {
    refuse_placement(question_.placement);
  }
  const std::optional<Hierarchy> nodes = global ? std::nullopt : hierarchy(true);
  return each([&](const ExpertLoads& loads) { return replicated_placement(loads, slots, devices_, nodes); });
}

std::vector<Spread> Spreading::of(const std::vector<ExpertLoads>& layers) const {
  std::vector<Spread> spreads;
  if (question_.balancer == Balancer::llep) {
    for (const ExpertLoads& loads : layers) spreads.push_back(least_loaded(loads, devices_, question_.llep));
    return spreads;
  }
  if (question_.balancer == Balancer::eplb) {
    for (const ExpertLoads& loads : layers) {
      const Placement placement = replicated_placement(loads, question_.slots, devices_, hierarchy(false));
      spreads.push_back(spread_evenly(loads, placement, devices_));
    }
    return spreads;
  }
  const std::vector<Placement> placements = placed(layers);
  const Hops between = question_.balancer == Balancer::ni ? hops() : Hops();
  CopyBalancer copies = question_.copies;
  copies.slots = question_.slots;
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    spreads.push_back(question_.balancer == Balancer::ni
                          ? balance_by_copies(layers[layer], placements[layer], devices_, copies, between)
                          : spread_evenly(layers[layer], placements[layer], devices_));
  }
  return spreads;
}

std::function<SpreadLayer()> Spreading::planned(const std::vector<ExpertLoads>& past, double tokens) const {
  if (question_.balancer == Balancer::llep) {
    return [rule = question_.llep, devices = devices_] {
      return SpreadLayer([rule, devices](const ExpertLoads& loads, const BatchLayer& at) {
        return least_loaded(loads, devices, rule, at.by_load);
      });
    };
  }
  auto placements = std::make_shared<std::vector<Placement>>(placed(past));
  if (question_.balancer != Balancer::none) return moving(std::move(*placements), tokens);
  return [placements, devices = devices_] {
    return SpreadLayer([placements, devices](const ExpertLoads& loads, const BatchLayer& at) {
      return spread_evenly(loads, (*placements)[at.layer], devices);
    });
  };
}

std::function<SpreadLayer()> Spreading::moving(std::vector<Placement> start, double tokens) const {
  if (question_.balancer == Balancer::eplb) {
    auto rules = std::make_shared<std::vector<MovingReplicas>>();
    const Hops between = hops();
    const auto place = [this](const ExpertLoads& loads) {
      return replicated_placement(loads, question_.slots, devices_, hierarchy(false));
    };
    for (Placement& placement : start) {
      (void)place(ExpertLoads(placement.size(), 1));  // what does not divide is said before anything is drawn
      rules->push_back({question_.times, std::move(placement), place, between});
    }
    return [rules, devices = devices_] { return moving_replicas(*rules, devices); };
  }
  MovingCopies rule{question_.times, {}, question_.copies, hops(), 0, {}};
  rule.balancer.slots = question_.slots;
  if (question_.model) {
    rule.expert_bytes = hw::expert_bytes(*question_.model);
    hw::IdleLinks::Options options{question_.source, question_.hidden.value_or(0) * question_.value_bytes};
    if (question_.machine) {
      options.near_seconds = question_.machine->resources[question_.machine->devices.link].seconds_per;
      options.far_seconds = question_.machine->resources[question_.machine->devices.far_link].seconds_per;
    }
    rule.road = [links = std::make_shared<hw::IdleLinks>(topology_, mapping_, options), tokens](const Spread& spread) {
      return links->beside(spread, tokens);
    };
  }
  auto rules = std::make_shared<std::vector<MovingCopies>>();
  for (Placement& placement : start) {
    rule.start = std::move(placement);
    rules->push_back(rule);
  }
  return [rules, devices = devices_] { return moving_copies(*rules, devices); };
}

void Spreading::add_traffic(std::vector<double> to_device, double tokens, double share, ParallelPoint& point,
                            std::map<hw::Link, LinkLoad>& links) const {
  if (!question_.hidden || !question_.top_k) return;
  const double bytes = *question_.hidden * question_.value_bytes;
  for (double& load : to_device) load *= bytes;
  const auto add = [&](const hw::LinkBytes& moved, double LinkLoad::*field) {
    for (const auto& [link, crossing] : moved) {
      LinkLoad& load = links[link];
      load.from = link.first, load.to = link.second;
      load.*field += share * crossing;
    }
  };
  const hw::LinkBytes dispatch = dispatch_bytes(topology_, mapping_, to_device, question_.source);
  const hw::AllReduce reduce = all_reduce(topology_, mapping_, tokens / mapping_.groups * bytes);
  add(dispatch, &LinkLoad::dispatch);
  add(combine_bytes(topology_, mapping_, to_device, question_.source), &LinkLoad::combine);
  add(reduce.links, &LinkLoad::all_reduce);
  double sent = 0;  // to others
  for (std::uint32_t device = 0; device < devices_; ++device) {
    for (const auto& [from, part] : deliveries_to(device, mapping_, question_.source)) {
      if (from != device) sent += share * part * to_device[device];
    }
  }
  point.hop_bytes = point.hop_bytes.value_or(0) + share * hw::sum_of(dispatch);
  point.all_reduce_bytes = point.all_reduce_bytes.value_or(0) + share * reduce.sent;
  point.dispatch_bytes = point.dispatch_bytes.value_or(0) + sent;
  point.combine_bytes = point.combine_bytes.value_or(0) + sent;
}

std::optional<std::vector<double>> Spreading::memory(const Spread& spread) const {
  if (!question_.model) return std::nullopt;
  const hw::Model& model = *question_.model;
  const double of_token = (*question_.hidden + model.expert.back().inputs) * question_.value_bytes;
  std::vector<double> bytes(devices_, 0);
  for (const Chunk& chunk : spread.chunks) {
    bytes[chunk.device] += hw::expert_bytes(model) + chunk.tokens * of_token;
  }
  return bytes;
}

}  // namespace moecarlo
