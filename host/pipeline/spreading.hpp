#pragma once

#include <map>

#include "host/pipeline/expert_parallel.hpp"
#include "hw/layer_time/idle_links.hpp"

namespace moecarlo {

/// A question on so many devices: how experts are spread over them, and what that costs. The question must outlive it.
class Spreading {
 public:
  /// Throws std::invalid_argument or usage where topology, mapping or machine do not fit.
  Spreading(const ParallelQuestion& question, std::uint32_t devices);

  std::uint32_t devices() const { return devices_; }

  /// Of given loads, a row a layer; what is placed or balanced by load knows them.
  std::vector<Spread> of(const std::vector<ExpertLoads>& layers) const;

  /// Of a series of batches of so many tokens: what is placed by load knows that of the past, [layers][experts].
  std::function<SpreadLayer()> planned(const std::vector<ExpertLoads>& past, double tokens) const;

  /// Adds what a layer moves to a point, `share` of its numbers. tokens: of the batch.
  void add_traffic(std::vector<double> to_device, double tokens, double share, ParallelPoint& point,
                   std::map<hw::Link, LinkLoad>& links) const;

  /// Bytes of each device: activations in and inside experts, and the weights of the experts that it computes. Nothing
  /// without a model.
  std::optional<std::vector<double>> memory(const Spread& spread) const;

  /// Null without a machine.
  const hw::LayerTime* time() const { return time_ ? &*time_ : nullptr; }

 private:
  std::optional<Hierarchy> hierarchy(bool always) const;
  std::vector<Placement> placed(const std::vector<ExpertLoads>& layers) const;
  std::function<SpreadLayer()> moving(std::vector<Placement> start, double tokens) const;
  Hops hops() const;

  const ParallelQuestion& question_;
  hw::Topology topology_;
  hw::Mapping mapping_;
  std::uint32_t devices_;
  std::optional<hw::LayerTime> time_;
};

/// Whether a placement or mapping is a file, and not one by name.
bool names_file(const std::string& text);

/// The devices of each point.
std::vector<std::uint32_t> device_counts(const ParallelQuestion& question);

}  // namespace moecarlo
