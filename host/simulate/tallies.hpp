#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cuda/core/plan.hpp"
#include "host/simulate/shard.hpp"
#include "host/study/demand.hpp"
#include "host/study/grid.hpp"

namespace moecarlo {

constexpr std::uint64_t kMostCells = 1'000'000;  ///< of a grid whose tallies are to be written and read

/// One cell of the grid: a (batch, depth), or a part of its points that has a path of its own.
struct CellShape {
  std::uint32_t batch = 1;
  std::uint32_t depth = 0;
  std::vector<Policy> policies;
  std::vector<Capacity> capacities;   ///< ascending
  std::vector<bool> joint;            ///< [capacities] whether a hardware system needs the joint histogram
  std::vector<Threshold> thresholds;  ///< [depth] conditional acceptance, where it depends on the position alone
  std::uint32_t bits = 0;             ///< 0: every number of bits of the study
  Tree tree;
  AcceptanceRule acceptance;
  std::optional<double> alpha{};     ///< of the thresholds, where the study has several
  DemandPoint demand{};              ///< what columns ask for
  bool apart = false;                ///< samples: episodes of its own, as too few rounds of fresh starts would fit
  std::vector<NestedPair> nested{};  ///< of each policy: smaller caches within larger ones, counted together
  std::uint32_t chunk_requests = 0;  ///< of a batch those that are places of a prompt's chunk, the last ones
};

/// What is counted: enough to lay out the counters and to read them back.
struct TallyShape {
  Walk walk = Walk::episodes;
  std::uint32_t layers = 0, experts = 0, top_k = 0;
  std::uint32_t zero_experts =
      0;                     ///< zero-computation experts of the trace: above 0, top_k is the most a token chooses
  std::uint32_t slices = 1;  ///< cached objects that an expert consists of; `experts` and `top_k` count objects
  Scope scope = Scope::layer;
  bool warm = true;  ///< caches are filled when an episode begins
  HistogramSet histograms = 0;
  LayerRanges ranges;                ///< for which joint histograms are kept apart
  std::vector<std::uint32_t> leads;  ///< layers ahead at which prefetches are counted, ascending
  bool asks = false;                 ///< the study has demand rules, and union records have the numbers about them
  GroupLayout groups;
  GroupLayout joint_groups;
  /// Where each population of the replicates has sequences of its own: its starts. Else (empty) each is drawn from all
  /// sequences.
  std::vector<std::uint64_t> population_starts;
  std::uint32_t sequences = 0;   ///< that trajectories draw from
  std::uint32_t subset = 0;      ///< so many of them, each once, make a population; 0: a resample of all of them
  std::vector<CellShape> cells;  ///< by batch, then by depth
  /// Of prefills: tokens of each prompt that is counted, in the order of the sequences, which fall into groups in turn.
  std::vector<std::uint64_t> prompts{};

  /// Whether another trace could change the accepted lengths.
  bool acceptance_reads_trace() const;
};

/// Where each count lies in the array of counters. `cells`, `joint_index`, `joints` and `nested` are what a PlanView
/// points to.
struct TallyLayout {
  std::vector<Cell> cells;
  std::vector<Policy> policies;
  std::vector<Demand> demands;  ///< [cells], none where the study has none
  std::vector<Capacity> capacities;
  std::vector<Threshold> thresholds;
  std::vector<std::uint32_t> joint_index;
  std::vector<JointTally> joints;
  std::vector<NestedTally> nested;
  std::uint32_t totals_width = 0;
  std::uint64_t first_joint_counter = 0;  ///< the joint histograms come last, then the nested ones
  std::uint64_t size = 0;                 ///< counters in all

  static TallyLayout of(const TallyShape& shape);

  /// Counters that follow each other, most of which are 0.
  struct Sparse {
    std::uint64_t first = 0, size = 0;
  };
  /// Of a cell: the verify, draft and writes of each joint, then the passes and near hits of each nested tally.
  std::vector<Sparse> sparse_of(std::size_t cell) const;
};

struct Prefills;

/// The integer tallies of a study, or of one of its shards: the one source of everything reported.
struct Tallies {
  TallyShape shape;
  TallyLayout layout;
  std::vector<std::uint64_t> counters;
  std::uint64_t trajectories = 0;            ///< of the main family, counted so far
  std::uint64_t replicate_trajectories = 0;  ///< of the replicates, at the largest batch
  Shard shard;                               ///< the part of the study that is counted here
  std::shared_ptr<const Prefills> prefill;   ///< where the study has them, of shards the first
  /// Rounds of which some take a chunk of a prompt along, where the study has those: see host/simulate/mixed.hpp.
  std::shared_ptr<const Prefills> mixed;

  explicit Tallies(TallyShape shape_of_study);
  Tallies(TallyShape shape_of_study, TallyLayout layout_of_shape, std::uint64_t counters_kept);
};

/// The joint and nested histograms of one cell without their empty bins, nine of ten of which are empty.
struct JointBins {
  std::vector<std::uint64_t> first;  ///< [sparse counters of the cell + 1] where the bins of each start
  std::vector<std::uint32_t> place;  ///< [bins] counted from the first of its counters, ascending within each
  std::vector<std::uint64_t> count;  ///< [bins] above 0
};
JointBins joint_bins(const Tallies& tallies, std::size_t cell);
std::vector<JointBins> joint_bins(const Tallies& tallies);  ///< [cells]

/// The prefills of a study, a replay, or its mixed rounds: the counters end where the joint histograms would begin.
struct Prefills {
  Tallies tallies;
  std::vector<JointBins> joints;  ///< [cells]
};

/// Gives tallies whose counters end where the joint histograms would begin these histograms. That takes ten times the
/// memory: to be called once the shape is known to be that of the study. Throws a machine error where it is not there.
void add_joints(Tallies& tallies, const std::vector<JointBins>& joints);

/// Adds the counts of `more`, the same cell of another shard.
void add(JointBins& sum, const JointBins& more);

/// Facts that travel with the tallies. Nothing about the machine, the backend or the time: equal studies give equal
/// files.
struct Provenance {
  std::string study_toml;  ///< the study, defaults filled in (to_toml)
  std::string trace_json;  ///< what the trace says of itself, and the split (trace_facts)
  std::string program;     ///< version and commit
  bool finished = false;   ///< false: a checkpoint
};

/// Writes tallies.h5 atomically: counters in the narrowest integers that hold them, joint histograms as bins. Throws a
/// machine error where it cannot.
void write_tallies(const std::filesystem::path& file, const Tallies& tallies, const Provenance& provenance);

/// The same of tallies whose joint histograms are these [cells].
void write_tallies(const std::filesystem::path& file, const Tallies& tallies, const std::vector<JointBins>& joints,
                   const Provenance& provenance);

/// Reads it back, with the joint histograms as `joints` [cells], as they are stored: the counters end where those would
/// begin, a tenth of the memory. Throws an input error on anything that is not a complete tallies file of this schema.
Tallies read_tallies(const std::filesystem::path& file, Provenance& provenance, std::vector<JointBins>& joints);

/// Whether it is there and no checkpoint.
bool is_finished(const std::filesystem::path& file);

}  // namespace moecarlo
