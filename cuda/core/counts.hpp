#pragma once

#include <cstdint>
#include <iterator>

namespace moecarlo {

// What a pass adds up. A union record holds the numbers that all design points of a cell share, a point record those of
// one design point; where a study has demand rules, the numbers about them follow in the union record. The columns of
// the records, of their files and of what metrics are made of (host/statistics/metric_table.cpp) are the lines of these
// tables; a number that is counted is named nowhere else.

/// One number of a record.
struct CountInfo {
  const char* name;
  bool by_length = false;  ///< where a walk enumerates, kept for each accepted length apart; the last one of its record
};

enum UnionCount : std::uint32_t { kDistinct, kDraftChoices, kDraftMass, kDistinctAccepted };
inline constexpr CountInfo kUnionCounts[] = {
    {"distinct_experts"},                 // of all columns of a pass
    {"draft_choices"},                    // top-k choices of the counted draft steps (draft.hpp)
    {"draft_mass"},                       // their gate mass, where masses are known
    {"distinct_experts_accepted", true},  // of the accepted columns
};

enum PointCount : std::uint32_t { kHits, kUpperHits, kDraftHits, kResidentMass, kCacheWrites, kRejectedOnly };
inline constexpr CountInfo kPointCounts[] = {
    {"hits"},                 // distinct experts of a pass that were resident
    {"upper_hits"},           // those of them that are upper slices (all of them where experts are cached whole)
    {"draft_hits"},           // choices of the counted draft steps that were resident
    {"resident_mass"},        // gate mass of these
    {"cache_writes"},         // experts resident after a pass that were not before
    {"rejected_only", true},  // misses that no accepted column needed
};

/// Of a pass's verified columns. A pair is a column and an expert that it chose.
enum DemandCount : std::uint32_t {
  kPairs,
  kPairsKept,
  kPairMass,
  kPairMassDropped,
  kLoadedParts,
  kUpperDistinct,
  kColumns,
  kWholeColumns,
  kChannelMassDropped,
  kDroppedSmallGate,
  kDroppedRejected,
  kRedundantSmallGate,
  kRedundantRejected,
  kChannelsWanted,
  kChannelsCovered,
  kPairsUpper,
  kPairMassUpper
};
inline constexpr CountInfo kDemandCounts[] = {
    {"demands"},               // pairs
    {"demands_kept"},          // those of them that a rule keeps
    {"demand_mass"},           // gate mass of all pairs, where gates are known
    {"dropped_mass"},          // of those that are not kept
    {"expert_parts_256"},      // weights that are asked for, in 1/256 of an expert's
    {"distinct_upper"},        // distinct experts, of which at least the upper slice is asked for
    {"columns"},               // that chose any expert
    {"whole_columns"},         // those of them that keep all that they chose
    {"dropped_channel_mass"},  // gate mass of pairs that are kept, as their tokens' magnitudes lie in channels that are
                               // not loaded
    // Experts of a pass, where lengths are counted one by one: that are chosen and not used,
    {"dropped_small_gate"},  // by accepted columns, too
    {"dropped_rejected"},    // by rejected columns alone
    // and that rejected columns alone use,
    {"redundant_small_gate"},  // though accepted ones chose them
    {"redundant_rejected"},    // which alone chose them
    // Of pairs that are kept of columns without a say in which channels are loaded, channels
    {"channels_wanted"},   // that the column would have loaded
    {"channels_covered"},  // those of them that are loaded
    // Pairs that are kept with the upper slice alone,
    {"demands_upper"},
    {"upper_mass"},  // and their gate mass
};
constexpr std::uint32_t kPartsOfExpert = 256;

static_assert(kUnionCounts[kDistinctAccepted].by_length && kDistinctAccepted + 1 == std::size(kUnionCounts));
static_assert(kPointCounts[kRejectedOnly].by_length && kRejectedOnly + 1 == std::size(kPointCounts));

}  // namespace moecarlo
