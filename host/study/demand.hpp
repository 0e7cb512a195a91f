#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cuda/core/demand/traits.hpp"

namespace moecarlo {

/// Where the path probability of a column comes from.
enum class PathProbability {
  acceptance,  ///< the acceptance of each position: an oracle for the drafter's own confidence
  one,         ///< every column counts in full
  listed,      ///< by depth
};

/// What columns ask of memory: `[demand]` of a study.
struct DemandSpec {
  std::vector<DemandRule> rules{DemandRule::all};
  /// What the study states, by the keys of DemandParameter: lists ascend; words and flags by their place, files by 0.
  std::map<std::string, std::vector<double>> stated{};
  std::map<std::string, std::filesystem::path> files{};  ///< the same of keys that name one
  std::vector<double> channels{0};  ///< least g |x_j| of a channel that is loaded, ascending; 0: all channels
  PathProbability path = PathProbability::acceptance;
  std::vector<double> confidences{};  ///< listed: of depth 0, 1, 2, ..., the first one 1
  std::filesystem::path loss{};       ///< a LossCurve; empty: none
};

/// One of the rules with one value of each list, and one of the channels.
struct DemandPoint {
  Demand demand;
  std::string label = "all";  ///< as files name it: threshold(0.05)

  friend bool operator==(const DemandPoint&, const DemandPoint&) = default;
};

std::span<const DemandParameter> parameters_of(DemandRule rule);
const char* to_string(DemandRule rule);
bool is_lossy(const std::string& label);  ///< of a DemandPoint: its rule drops experts, or it drops channels
bool drops(const Demand& demand);         ///< the same
bool drops_channels(const DemandSpec& spec);
bool drops(DemandRule rule);        ///< leaves out experts that were chosen
bool reads_gates(DemandRule rule);  ///< cannot do without gate weights
bool reads_entropy(DemandRule rule);
bool reads_paths(DemandRule rule);     ///< looks at path probabilities
bool drafts_nearest(DemandRule rule);  ///< needs distances between experts
bool needs_slices(DemandRule rule);
bool some_decide(DemandRule rule);  ///< which channels are loaded, for the others
bool takes_one_list(DemandRule rule);
Misfit misfit(const Demand& demand);
bool looks_at_residents(const Demand& demand);
bool looks_at_residents(const DemandSpec& spec);  ///< some of its rules
std::vector<DemandRule> all_demand_rules();
std::optional<DemandRule> demand_rule(std::string_view name);  ///< of its to_string
std::string rule_of_label(const std::string& label);           ///< of a DemandPoint: "threshold" of "threshold(0.05)"

/// Every key that some rule takes, once, in the order of the rules.
std::vector<const DemandParameter*> demand_parameters();

/// The design points that a study's rules are crossed to, in their order.
std::vector<DemandPoint> demand_points(const DemandSpec& spec);

}  // namespace moecarlo
