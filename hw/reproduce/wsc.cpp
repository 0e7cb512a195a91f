#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "host/parallel/ni_balancer.hpp"
#include "host/support/error.hpp"
#include "hw/layer_time/layer_time.hpp"
#include "hw/reproduce/published_lines.hpp"
#include "hw/reproduce/reproductions.hpp"

namespace moecarlo::hw {
namespace {

/// A published change by placing rings or experts on wafers (MoEntwine, arXiv 2510.25258), in percent.
struct WscClaim {
  std::string quantity;  ///< as reproductions/wsc.csv names them
  std::uint32_t top_k = 0;
  double percent = 0;
};

const std::vector<std::string> kOneWafer{"mesh:4x4", "mesh:8x8"};

struct WscConstants {
  System wafers, rival;
  Model model;
  std::uint32_t rival_devices = 0, slots = 0, tensor_parallel = 0;
  double fewest_tokens = 0, most_tokens = 0, imbalance = 0, tolerance = 0;
  std::vector<std::string> assumed;
};

WscConstants read_constants(const Preset& preset) {
  PresetReader reader(preset);
  WscConstants constants;
  constants.wafers = read_system(reader.text("machines.wafers"));
  constants.rival = read_system(reader.text("machines.rival"));
  constants.model = read_model(reader.text("machines.model"));
  constants.rival_devices = reader.count("rival.devices");
  constants.tensor_parallel = reader.count("batch.tensor_parallel");
  constants.fewest_tokens = reader.positive("batch.fewest", "count");
  constants.most_tokens = reader.positive("batch.most", "count");
  constants.imbalance = reader.positive("loads.imbalance", "count");
  constants.slots = reader.count("balancer.slots");
  constants.tolerance = reader.share("table.tolerance");
  reader.finish();
  constants.assumed = assumed_of(preset);
  return constants;
}

/// Bytes over the busiest links of each step, in those that a device reduces.
struct Communication {
  double reduce = 0, experts = 0;  ///< all-reduce; dispatch and combine
  double all() const { return reduce + experts; }
};

/// shares: of all choices that experts of each device take.
Communication communication(const Topology& topology, const std::string& mapping_name, std::uint32_t size,
                            std::vector<double> shares, double top_k) {
  const Mapping mapping = named_mapping(mapping_name, topology, size);
  for (double& share : shares) share *= top_k * mapping.groups;
  return {all_reduce(topology, mapping, 1).busiest,
          most_of(dispatch_bytes(topology, mapping, shares)) + most_of(combine_bytes(topology, mapping, shares))};
}

std::vector<double> shares_of(std::vector<double> loads) {
  const double sum = std::accumulate(loads.begin(), loads.end(), 0.0);
  for (double& load : loads) load /= sum;
  return loads;
}

/// A mapping beside groups in rectangles, on one topology.
struct Compared {
  std::string topology;
  std::uint32_t size = 0;
  Communication before, after;
};

std::string conditions_of(const Compared& one, double top_k, const std::string& routing) {
  return fmt::format("{}, groups of {}, top-{:g}, {}: all-reduce {:.3g} -> {:.3g}, experts {:.3g} -> {:.3g}",
                     one.topology, one.size, top_k, routing, one.before.reduce, one.after.reduce, one.before.experts,
                     one.after.experts);
}

/// All sizes of groups that both mappings can have. layers: expert loads; none: even ones.
std::vector<Compared> compare_mappings(const std::vector<std::string>& topologies, const std::string& mapping,
                                       double top_k, const std::vector<ExpertLoads>& layers) {
  std::vector<Compared> all;
  for (const std::string& text : topologies) {
    const Topology topology = Topology::parse(text, 0);
    const std::uint32_t devices = topology.devices();
    std::vector<std::vector<double>> shares;
    for (const ExpertLoads& loads : layers) {
      if (loads.size() % devices != 0) continue;
      const auto home = contiguous_placement(static_cast<std::uint32_t>(loads.size()), devices);
      shares.push_back(shares_of(spread_evenly(loads, home, devices).device_loads()));
    }
    if (layers.empty()) shares.emplace_back(devices, 1.0 / devices);
    for (const std::uint32_t size : {4U, 8U, 16U, 32U}) {
      if (devices / topology.nodes() % size != 0 || devices / topology.nodes() == size) continue;
      Compared one{text, size, {}, {}};
      for (const std::vector<double>& of_layer : shares) {
        const double share = 1.0 / static_cast<double>(shares.size());
        for (const auto& [name, sum] : {std::pair{std::string("block"), &one.before}, {mapping, &one.after}}) {
          const Communication layer = communication(topology, name, size, of_layer, top_k);
          sum->reduce += share * layer.reduce;
          sum->experts += share * layer.experts;
        }
      }
      if (!shares.empty()) all.push_back(one);
    }
  }
  return all;
}

class Claims {
 public:
  explicit Claims(const WscConstants& constants) : constants_(constants) {}

  std::vector<ReproducedRow> rows(const WscClaim& claim) const {
    if (claim.quantity.starts_with("entwined")) return mapped(claim, kOneWafer, "entwined");
    if (claim.quantity.starts_with("hierarchical")) {
      return mapped(claim, {constants_.wafers.devices.topology}, "hierarchical");
    }
    if (claim.quantity == "throughput_per_device") return throughput(claim);
    return {balanced(claim)};
  }

  /// Entwined rings under a trace's routing, beside even routing of as many choices: of another model than the
  /// published one.
  std::vector<ReproducedRow> rows(const WscClaim& claim, const RealLoads& real) const {
    std::vector<ReproducedRow> rows;
    for (const auto& [layers, routing] :
         {std::pair{std::vector<ExpertLoads>{}, std::string("uniform routing")}, {real.layers, real.trace}}) {
      for (const Compared& one : compare_mappings(kOneWafer, "entwined", real.top_k, layers)) {
        if (real.layers[0].size() % Topology::parse(one.topology, 0).devices() != 0) continue;
        rows.push_back(open(claim, conditions_of(one, real.top_k, routing), one.after.all() / one.before.all(),
                            "another model than the published one"));
      }
    }
    return rows;
  }

 private:
  static Claim of(const WscClaim& claim, std::string conditions) {
    return {claim.quantity, std::move(conditions), "share of before", 1 + claim.percent / 100};
  }
  ReproducedRow judge(const WscClaim& claim, std::string conditions, double ours, const char* why) const {
    return compare(of(claim, std::move(conditions)), ours, constants_.tolerance, constants_.assumed, why);
  }
  ReproducedRow open(const WscClaim& claim, std::string conditions, double ours, const char* why) const {
    return leave_open(of(claim, std::move(conditions)), ours, why, constants_.assumed);
  }

  /// The best of them is judged, as what is published is said to be; the others stand below it.
  std::vector<ReproducedRow> mapped(const WscClaim& claim, const std::vector<std::string>& topologies,
                                    const std::string& mapping) const {
    const bool experts_alone = claim.quantity.ends_with("all_to_all");
    const auto ratio = [&](const Compared& one) {
      return experts_alone ? one.after.experts / one.before.experts : one.after.all() / one.before.all();
    };
    std::vector<Compared> all = compare_mappings(topologies, mapping, claim.top_k, {});
    std::stable_sort(all.begin(), all.end(), [&](const Compared& a, const Compared& b) { return ratio(a) < ratio(b); });
    std::vector<ReproducedRow> rows;
    for (const Compared& one : all) {
      const std::string conditions = conditions_of(one, claim.top_k, "uniform routing");
      if (!rows.empty()) {
        rows.push_back(open(claim, conditions, ratio(one), "the best one is published"));
      } else if (claim.quantity.ends_with("unchanged")) {
        rows.push_back(compare_roof(of(claim, conditions), ratio(one), constants_.assumed, "ours gains"));
      } else {
        rows.push_back(judge(claim, conditions, ratio(one),
                             experts_alone ? "ours has the bytes of the busiest link alone, no latency and no start"
                                           : "the all-reduce grows by more than dispatch and combine shrink"));
      }
    }
    return rows;
  }

  /// An expert on each die, their loads evenly between 0 and `imbalance` times the mean, at places that a step coprime
  /// to their number scatters.
  ExpertLoads uneven(std::uint32_t dies) const {
    constexpr std::uint32_t step = 97;
    ExpertLoads loads(dies);
    for (std::uint32_t i = 0; i < dies; ++i) loads[i * step % dies] = constants_.imbalance * (i + 0.5) / dies;
    return loads;
  }

  ReproducedRow balanced(const WscClaim& claim) const {
    const Topology topology = Topology::parse(constants_.wafers.devices.topology, 0);
    const std::uint32_t dies = topology.devices();
    const ExpertLoads loads = uneven(dies);
    const auto home = contiguous_placement(dies, dies);
    const Spread spread = balance_by_copies(loads, home, dies, {CopyRule::nearest, 1, constants_.slots},
                                            [&](std::uint32_t a, std::uint32_t b) { return topology.hops(a, b); });
    const std::vector<double> after = spread.device_loads();
    const auto most = [](const std::vector<double>& on) { return *std::max_element(on.begin(), on.end()); };
    const auto links = [&](const std::vector<double>& on) {
      return communication(topology, "hierarchical", constants_.tensor_parallel, shares_of(on), claim.top_k).all();
    };
    const bool compute = claim.quantity == "balancer_compute";
    return judge(claim,
                 fmt::format("{} dies, an expert and {} slots each, loads of 0 to {:g} times the mean", dies,
                             constants_.slots, constants_.imbalance),
                 compute ? most(after) / most(loads) : links(after) / links(loads),
                 compute ? "the mean, below which no balancer goes, is a half here; one slot a die does not reach it"
                         : "the all-reduce does not depend on loads, and the busiest link sums those of many dies");
  }

  LayerSeconds even_layer(const System& machine, const std::string& text, const std::string& mapping, double top_k,
                          double tokens) const {
    const Topology topology = Topology::parse(text, 0);
    const std::uint32_t devices = topology.devices(), experts = constants_.model.experts;
    const LayerTime time(machine, constants_.model, topology,
                         named_mapping(mapping, topology, constants_.tensor_parallel), {});
    const ExpertLoads loads(experts, tokens * devices * top_k / experts);
    return time(spread_evenly(loads, contiguous_placement(experts, devices), devices), tokens * devices);
  }

  std::vector<ReproducedRow> throughput(const WscClaim& claim) const {
    const std::string around = fmt::format("switch:{}", constants_.rival_devices);
    std::vector<ReproducedRow> rows;
    for (int step = 0;; ++step) {
      const double tokens = std::ldexp(constants_.fewest_tokens, 2 * step);
      if (tokens > constants_.most_tokens) return rows;
      const LayerSeconds wafers =
          even_layer(constants_.wafers, constants_.wafers.devices.topology, "hierarchical", claim.top_k, tokens);
      const LayerSeconds rival = even_layer(constants_.rival, around, "row", claim.top_k, tokens);
      rows.push_back(
          open(claim,
               fmt::format("{:g} tokens a device; experts, links us: {} {:.1f}, {:.1f}; {} {} {:.1f}, {:.1f}", tokens,
                           constants_.wafers.name, 1e6 * wafers.experts, 1e6 * wafers.links(), constants_.rival.name,
                           around, 1e6 * rival.experts, 1e6 * rival.links()),
               rival.layer / wafers.layer, "the batch, which decides it, and latencies are not in the digests"));
    }
  }

  const WscConstants& constants_;
};

double percent_of(const PublishedLine& line) {
  const double percent = line.signed_number(2, "percent");
  if (percent <= -100) fail(ErrorKind::input, "{}: percent: not a change above -100 (found {})", line.place, percent);
  return percent;
}

/// Reads quantity,top_k,percent. Throws input with file and line, also for a quantity of another name.
std::vector<WscClaim> read_wsc_claims(const std::filesystem::path& file) {
  const std::vector<std::string> known{"entwined_communication",           "entwined_all_to_all",
                                       "entwined_communication_unchanged", "hierarchical_communication",
                                       "hierarchical_all_to_all",          "balancer_compute",
                                       "balancer_communication",           "throughput_per_device"};
  std::vector<WscClaim> claims;
  for (const PublishedLine& line : read_published_lines(file, "quantity,top_k,percent")) {
    if (std::find(known.begin(), known.end(), line.fields[0]) == known.end()) {
      fail(ErrorKind::input, "{}: {} (expected one of {})", line.place, line.fields[0], fmt::join(known, ", "));
    }
    claims.push_back({line.fields[0], line.count(1, "top_k"), percent_of(line)});
  }
  return claims;
}

std::vector<ReproducedRow> rows_of(const Preset& preset, const PublishedTables& tables, const RealLoads* real) {
  const WscConstants constants = read_constants(preset);
  const Claims all(constants);
  std::vector<ReproducedRow> rows;
  for (const auto& table : tables) {
    for (const WscClaim& claim : read_wsc_claims(table)) {
      for (ReproducedRow& row : all.rows(claim)) rows.push_back(std::move(row));
      if (real == nullptr || claim.quantity != "entwined_communication") continue;
      for (ReproducedRow& row : all.rows(claim, *real)) rows.push_back(std::move(row));
    }
  }
  return rows;
}

}  // namespace

/// Rows of every claim, each as the remaining share of what was there before (0.65 for -35 %):
///   entwined_*      entwined rings over groups in rectangles, on one wafer of 4 x 4 and of 8 x 8, each number of
///                   devices in a group from 4 that both mappings can have: the best of them, and each with its
///                   all-reduce beside dispatch and combine
///   hierarchical_*  the same on the machine's wafers, tokens of all gathered in each
///   balancer_*      copies into free slots, of experts whose loads lie between 0 and `imbalance` times the mean
///   throughput_per_device  tokens a second through expert layers, by one device, over a switch of fewer devices, at
///                   several batches
std::vector<ReproducedRow> reproduce_wsc(const Preset& preset, const PublishedTables& tables) {
  return rows_of(preset, tables, nullptr);
}

/// The same, and what a trace's routing gives on one wafer beside even routing, which judges nothing: another model.
std::vector<ReproducedRow> reproduce_wsc_with_trace(const Preset& preset, const PublishedTables& tables,
                                                    const RealLoads& real) {
  return rows_of(preset, tables, &real);
}

}  // namespace moecarlo::hw
