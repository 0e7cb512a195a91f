#pragma once

#include <optional>
#include <string>
#include <vector>

#include "host/parallel/llep.hpp"
#include "host/parallel/ni_balancer.hpp"
#include "hw/mesh/traffic.hpp"

namespace moecarlo {

enum class Balancer { none, llep, eplb, ni };

/// How experts lie on devices, what balances them, and what the devices are linked by.
struct ParallelQuestion {
  std::vector<std::uint32_t> devices;    ///< each a point; empty: those of the topology
  std::string placement = "contiguous";  ///< or popularity, replicated:N[:global|hierarchical]
  std::uint32_t groups = 0;              ///< of neighbouring experts, of a hierarchical placement
  Balancer balancer = Balancer::none;
  LlepRule llep;
  CopyBalancer copies;
  std::uint32_t slots = 0;            ///< eplb: of all devices; ni: free ones of each device
  std::string topology = "switch";    ///< Topology::parse
  std::string mapping = "row";        ///< named_mapping, or a file
  std::uint32_t tensor_parallel = 1;  ///< devices that share a token's attention
  hw::TokenSource source = hw::TokenSource::domain;

  // For bytes; without them there are none.
  std::optional<double> top_k;   ///< choices of a token
  std::optional<double> hidden;  ///< values of an activation
  double value_bytes = 2;
  // For memory; without them there is none.
  std::optional<double> expert_bytes, expert_width;  ///< weights of an expert; values of what is inside it
  std::optional<double> memory_bytes;                ///< of a device
};

/// Bytes that cross a link in a layer.
struct LinkLoad {
  std::uint32_t from = 0, to = 0;
  double dispatch = 0, combine = 0, all_reduce = 0;
};

/// A mean over layers, and how they are distributed: p50 and p99 by nearest rank.
struct OverLayers {
  double mean = 0, p50 = 0, p99 = 0;
};

/// What becomes of the given loads on so many devices. Numbers are means over layers but where said otherwise.
struct ParallelPoint {
  std::uint32_t devices = 0;
  OverLayers device_max_over_mean, expert_max_over_mean;
  std::vector<std::vector<double>> device_loads;  ///< [layers][devices] tokens
  double transfers = 0, spilled = 0, forced = 0, replicas = 0, migrations = 0, migration_hops = 0;
  std::optional<double> hop_bytes;  ///< of dispatch: bytes x hops
  std::vector<LinkLoad> link_loads;
  std::optional<double> all_reduce_bytes, dispatch_bytes, combine_bytes;  ///< that devices send to others
  std::optional<double> peak_memory_bytes;  ///< of the fullest device, in the layer where it is fullest
  std::optional<double> over_memory;        ///< share of devices and layers that exceed `memory_bytes`
};

/// The exact answer for given loads, a row a layer. A balancer that predicts from the past knows these loads. Throws
/// usage where numbers do not divide or options contradict each other.
std::vector<ParallelPoint> spread_loads(const std::vector<ExpertLoads>& layers, const ParallelQuestion& question);

}  // namespace moecarlo
