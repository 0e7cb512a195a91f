#pragma once

#include <optional>
#include <string>
#include <vector>

#include "host/cluster/crew.hpp"
#include "host/parallel/batches.hpp"
#include "host/parallel/llep.hpp"
#include "host/parallel/moving_experts.hpp"
#include "hw/layer_time/layer_time.hpp"

namespace moecarlo {

enum class Balancer { none, llep, eplb, ni };
std::string_view to_string(Balancer balancer);

/// How experts lie on devices, what balances them, and what the devices are linked by.
struct ParallelQuestion {
  std::vector<std::uint32_t> devices;    ///< each a point; empty: those of the topology
  std::string placement = "contiguous";  ///< or popularity, replicated:N[:global|hierarchical], a file
  std::uint32_t groups = 0;              ///< of neighbouring experts, of a hierarchical placement
  Balancer balancer = Balancer::none;
  LlepRule llep;
  CopyBalancer copies;
  std::uint32_t slots = 0;            ///< eplb: of all devices; ni: free ones of each device
  MoveTimes times;                    ///< when eplb and ni move experts, in batches of a trace
  std::string topology;               ///< Topology::parse; empty: the machine's, or a switch
  std::string mapping = "row";        ///< named_mapping, or a file
  std::uint32_t tensor_parallel = 1;  ///< devices that share a token's attention
  hw::TokenSource source = hw::TokenSource::domain;

  // For bytes; without them there are none.
  std::optional<double> top_k;   ///< choices of a token
  std::optional<double> hidden;  ///< values of an activation
  double value_bytes = 2;
  // For memory; without a model there is none.
  std::optional<hw::Model> model;
  std::optional<double> memory_bytes;  ///< of a device
  // For time; it needs a model.
  std::optional<hw::System> machine;  ///< whose devices they are
  hw::Overlap overlap = hw::Overlap::none;
  std::uint32_t context = 1024;  ///< cached positions of a request
};

/// The topology that was asked for, or the machine's; any number of devices may be around one switch.
std::string topology_of(const ParallelQuestion& question);

/// Bytes that cross a link in a layer.
struct LinkLoad {
  std::uint32_t from = 0, to = 0;
  double dispatch = 0, combine = 0, all_reduce = 0;
};

/// A mean over layers and batches, and how they are distributed: p50 and p99 by nearest rank.
struct Imbalance {
  Estimate mean;
  double p50 = 0, p99 = 0;
};

/// What becomes of loads on so many devices. Numbers are means over layers and batches but where said otherwise.
struct ParallelPoint {
  std::uint32_t devices = 0;
  Imbalance device_max_over_mean, expert_max_over_mean;
  std::vector<std::vector<double>> device_loads;  ///< [layers][devices] tokens
  std::vector<double> device_tail;                ///< BatchFigures::device_tail; empty of given loads
  Estimate transfers, spilled, forced;
  Estimate replicas, migrations, migration_hops;
  std::optional<double> hop_bytes;  ///< of dispatch: bytes x hops
  std::vector<LinkLoad> link_loads;
  std::optional<double> all_reduce_bytes, dispatch_bytes, combine_bytes;  ///< that devices send to others
  std::optional<double> peak_memory_bytes;  ///< of the fullest device, in the layer where it is fullest
  std::optional<Estimate> over_memory;      ///< share of devices that exceed `memory_bytes`
  std::optional<double> rejected_share;     ///< of loads and bytes that serve rejected columns
  // Of a layer, with a machine:
  std::optional<Estimate> seconds, expert_seconds, busiest_link_seconds;
  std::optional<Estimate> tokens_per_second_per_device;  ///< kept ones, through all layers of the model
};

struct ParallelAnswer {
  std::uint64_t batches = 0;  ///< that were drawn; none of given loads
  std::vector<ParallelPoint> points;
};

/// The exact answer for given loads, a row a layer. A balancer that predicts from the past knows these loads. Throws
/// usage where numbers do not divide or options contradict each other.
std::vector<ParallelPoint> spread_loads(const std::vector<ExpertLoads>& layers, const ParallelQuestion& question);

/// A run whose counts are kept.
struct ParallelRun {
  std::filesystem::path directory;  ///< empty: they are not
  Shard shard;
  bool resume = false;
  std::function<bool()> stops{};  ///< stop now?
  std::function<void(const std::string& line)> remark{};
  RunSpec backend{};     ///< that draws batches, and its GPU; threads are those of BatchDraws
  Crew* crew = nullptr;  ///< the other processes of a job; null: there are none
};

/// The same of batches that are drawn from a trace. A placement by load knows the calibration split; eplb and ni the
/// batches before. Throws Interrupted where it was stopped.
ParallelAnswer spread_batches(RoutingTable table, ParallelQuestion question, const BatchDraws& draws,
                              const ParallelRun& run = {});

/// Choices in the calibration split, [layers][experts].
std::vector<ExpertLoads> calibration_loads(const RoutingTable& table);

/// What another process of the job does while process 0 spreads batches: its share of them.
struct ParallelTask {
  ParallelQuestion question;
  BatchDraws draws;
  RunSpec backend;
};
void assist_batches(const std::function<ParallelTask(const RoutingTable& table)>& task, Communicator& all);

}  // namespace moecarlo
