#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "host/simulate/tallies.hpp"
#include "host/statistics/quantity.hpp"
#include "host/statistics/results.hpp"
#include "host/study/grid.hpp"
#include "host/study/study.hpp"
#include "hw/machine/system.hpp"
#include "hw/model/model.hpp"
#include "hw/plan/workload.hpp"
#include "hw/projection/counted.hpp"
#include "hw/schemes/bit_slices.hpp"
#include "hw/schemes/scheme.hpp"
#include "hw/sensitivity/row_sides.hpp"

namespace moecarlo::hw {

struct CountedRounds;
class StudyPrompts;

/// A hardware row with what every group of trajectories thinks of its figures.
struct RowQuantities {
  HardwareResult row;
  Quantity tokens_per_second, joules_per_token;
};

/// The hardware side of a study: presets read, placements solved, and later every demand projected.
class StudyProjection {
 public:
  /// Reads presets and solves placements: whatever of the study is impossible is known before anything is simulated.
  /// Combinations that do not fit are left out. Throws usage errors of presets, and where no combination is left, the
  /// model's experts or top-k are not the trace's, or a scheme cannot draft as the study does. `slices`: caches hold
  /// two slices of each expert.
  StudyProjection(const HardwareSpec& spec, const GridSpec& grid, const DraftSpec& draft, std::uint32_t trace_layers,
                  std::uint32_t trace_experts, std::uint32_t trace_top_k, bool slices);

  bool drafts_from_residents() const;                         ///< some scheme does, with routing restricted to them
  std::map<std::string, std::string> rules_asked_by() const;  ///< of schemes that are about one rule, by scheme
  bool uses_bits() const;                                     ///< the number of kept bits changes some scheme's drafts

  /// The capacities that the simulation has to count.
  std::vector<ImpliedCapacity> implied_capacities() const;
  /// The same of prefills in chunks of so many tokens: those of every row, as prompts meet the caches of its rounds.
  std::vector<ImpliedCapacity> prefill_capacities(std::uint32_t chunk) const;

  /// Every (system, scheme, batch, depth, policy, bits) projected onto the hardware, with intervals, and what was left
  /// out; how far the fastest rows lead; the sensitivity of the best row of each system and scheme; all constants.
  /// `knows_scores`: absent experts were replaced by score while drafting, not by popularity. Throws a usage error
  /// where a capacity was not counted: the tallies are of another study's hardware.
  void project(const Tallies& tallies, const std::vector<JointBins>& joints, bool knows_scores,
               StudyResults& results) const;

  /// From now on project() gives every row its assumption band: some hundred evaluations each.
  void ask_for_bands() { wants_bands_ = true; }

  /// The rows with what every group thinks of them, for comparisons between studies. Throws as project() does.
  std::vector<RowQuantities> quantities(const Tallies& tallies, const std::vector<JointBins>& joints) const;

 private:
  /// A system with the model on it, or a variant of either, which has a name of its own.
  struct Machine {
    System system;
    Model model;
    std::string variant_of;              ///< empty: it is none
    std::map<std::string, double> vary;  ///< factors by constant

    bool is_variant() const { return !variant_of.empty(); }
  };
  static std::vector<Machine> machines_of(const HardwareSpec& spec, const Model& model);
  void check_changes(const HardwareSpec& spec) const;

  struct Row;
  std::vector<Row> rows(const CountedPoints& points, const Tallies& tallies) const;
  std::vector<Row> projected_rows(const CountedRounds& counted) const;
  static void add_prompt(StudyPrompts& prompts, Row& row, const Serving& serving);
  bool is_reference(const CountedPoints& points, const Row& row) const;
  std::vector<std::pair<Policy, std::string>> asked_policies(const CountedPoints& points) const;
  CountedPoint reference_point(const CountedPoints& points, std::uint32_t batch) const;
  static void add_comparisons(std::vector<Row>& rows, const Sampling& sampling);
  static void add_leads(const std::vector<Row>& rows, const Sampling& sampling, StudyResults& results);
  std::vector<Workload> neighbours(const CountedPoints& points, const Row& row) const;
  static std::vector<BitTrade> bit_trades(const std::vector<Row>& rows, const Sampling& sampling);
  SensitivityRow taken_apart(const CountedPoints& points, const Row& row) const;
  void add_sensitivity(const CountedPoints& points, const std::vector<Row>& rows, StudyResults& results) const;
  void add_bands(const CountedPoints& points, std::vector<Row>& rows) const;
  void add_ridges(StudyResults& results) const;
  void add_constants(StudyResults& results) const;
  void add_notes(bool knows_scores, StudyResults& results) const;
  const Machine& machine(const std::string& name) const;
  const Scheme& scheme_named(const std::string& name) const;
  void add_demands(const GridSpec& grid);
  void check_reference(const GridSpec& grid);
  void add_measured_schemes();
  std::optional<BitSliceResult> bit_slice_result() const;

  HardwareSpec spec_;
  std::vector<Policy> policies_;
  Context context_;
  std::uint32_t trace_layers_;
  Model model_;
  std::optional<System> reference_;  ///< what speed-ups are relative to, decoding as this
  Scheme plain_ = autoregressive();
  std::vector<Machine> machines_;
  std::vector<Scheme> schemes_;  ///< those of the study, each that has been measured with its double behind it
  std::optional<BitSlices> slices_;
  std::vector<Demand> demands_;
  std::vector<LeftOutResult> left_out_;
  std::map<std::uint32_t, Capacity> reference_capacity_;  ///< by batch; none where the model does not fit
  std::vector<std::string> notes_;
  bool wants_bands_ = false;
};

}  // namespace moecarlo::hw
