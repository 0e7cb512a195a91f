#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "host/simulate/tallies.hpp"
#include "host/statistics/quantity.hpp"
#include "hw/projection/counted.hpp"
#include "hw/projection/prompts.hpp"

namespace moecarlo::hw {

/// A prompt of the mean, of what every group of sequences thinks of it.
struct PromptCost {
  Quantity seconds, joules;
};

/// The prompts of a study on machines and schemes.
class StudyPrompts {
 public:
  /// Which must outlive it.
  explicit StudyPrompts(const Prefills& prefills);

  /// What a demand's rounds are asked with.
  struct Asked {
    const Demand& demand;
    Serving serving;
    Policy policy{};
    std::string columns;  ///< what of the chosen experts is asked for, as files name it
  };
  /// None where prompts were not counted at the demand's capacities. `system`, `scheme` and `model` must outlive it and
  /// be told apart by their addresses.
  std::optional<PromptCost> cost(const System& system, const Scheme& scheme, const Model& model, const Asked& asked);

  const Sampling& sampling() const { return sampling_; }

 private:
  std::optional<Workload> workload(const Asked& asked) const;

  CountedPoints points_;
  PromptLengths lengths_;
  Sampling sampling_;
  std::map<std::pair<const System*, const Scheme*>, PromptProjector> projectors_;
};

}  // namespace moecarlo::hw
