#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "host/study/study.hpp"
#include "tests/oracle/trace.hpp"

namespace moecarlo::oracle {

/// One design point of a study.
struct Point {
  int batch = 1, depth = 0;
  Policy policy = Policy::static_residents;
  std::vector<int> slots;      ///< of each layer; of the pool: one number
  int bits = 0;                ///< of captured acceptance
  std::string demand = "all";  ///< what columns ask for, as files name it
  bool independent = false;    ///< a control: drafts in one walk, and routes in another
  bool fresh = false;          ///< every round begins anew: a study whose policies remember nothing
  bool joint = false;          ///< count what draft steps touch as well
};

/// What is counted of one draft step in one layer.
struct DraftCounts {
  std::int64_t choices = 0, hits = 0, mass = 0, resident_mass = 0;
  std::map<int, std::int64_t> touched;  ///< steps by distinct residents that they touch, over the batch
};

/// What is counted in one layer.
struct LayerCounts {
  std::int64_t distinct = 0;
  std::map<int, std::int64_t> distinct_passes;                 ///< passes by number of distinct objects
  std::vector<std::int64_t> distinct_accepted, rejected_only;  ///< one number; [depth + 1] when enumerating
  std::int64_t hits = 0, upper_hits = 0, writes = 0;
  std::int64_t pairs = 0, pairs_kept = 0;       ///< columns and experts that they chose, and use
  std::int64_t pair_mass = 0, dropped = 0;      ///< gates of all, and of those that are not used
  std::int64_t columns = 0, whole_columns = 0;  ///< that choose any, and keep all that they chose
  std::int64_t upper = 0;                       ///< distinct experts, of which at least the upper slice is used
  std::int64_t parts = 0;                       ///< of weights that are loaded: 256 an expert
  std::int64_t channels_dropped = 0;  ///< gates of what is used, by magnitudes in channels that are not loaded
  std::int64_t channels_wanted = 0, channels_covered = 0;  ///< by columns that have no say in what is loaded
  std::int64_t pairs_upper = 0, upper_mass = 0;            ///< pairs that are used without the lower slice, their gates
  std::int64_t dropped_small = 0, dropped_rejected = 0;    ///< experts that are chosen and not used, by whom
  std::int64_t redundant_small = 0,
               redundant_rejected = 0;   ///< those that rejected columns alone use, by who chose them
  std::map<int, std::int64_t> products;  ///< distinct choices by largest product of gate and path probability, of 256
  std::map<std::pair<int, int>, std::int64_t> hits_and_misses;  ///< passes
  std::map<std::pair<int, bool>, std::int64_t> tokens;  ///< distinct objects by columns that use them, and residence
  std::map<int, std::int64_t> residents;                ///< passes by number of residents at their start
  std::map<int, std::int64_t> by_depth;                 ///< distinct objects of the columns of a depth, by depth
  std::map<int, std::int64_t> high_water, spills;  ///< prefill: chunks by open partial sums and by those without slot
  std::map<int, std::int64_t> prefetch;  ///< kind x leads + lead: useful, wasted, displaced and missed experts
  std::map<int, std::int64_t> shared;    ///< pairs of siblings, the path's column among them, by objects that both use
  std::vector<std::vector<DraftCounts>> draft;  ///< [rounds][depth] of every step; one round where none has a number
};

struct Counts {
  std::int64_t rounds = 0, drafted = 0;
  std::vector<std::int64_t> accepted;  ///< [depth + 1] requests by accepted length
  std::vector<LayerCounts> layers;
};

/// The prefills of the evaluation sequences, whose tokens are all there are: [sequences] in chunks as study.prefill
/// says, through caches that are never emptied.
std::vector<Counts> prefill(const RankedTrace& trace, const Study& study, const Point& point);

/// Trajectories 0 .. trajectories - 1 of one design point, each on its own; trajectory i draws from the sequences of
/// populations[i mod the number of them]. Returns the counts of trajectories by their number modulo 64.
std::vector<Counts> simulate(const RankedTrace& trace, const Study& study, const Point& point,
                             const std::vector<std::vector<int>>& populations, int trajectories, std::uint64_t seed);

/// Every start of each evaluation sequence once, one request: [evaluation sequences].
std::vector<Counts> enumerate(const RankedTrace& trace, const Study& study, const Point& point);

/// The evaluation sequences front to back, one request: [evaluation sequences].
std::vector<Counts> replay(const RankedTrace& trace, const Study& study, const Point& point);

}  // namespace moecarlo::oracle
