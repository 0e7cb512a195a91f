#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>

#include "host/trace/expert_selector.hpp"
#include "host/trace/routing_table.hpp"
#include "host/trace/table_ranker.hpp"

namespace moecarlo {

struct TableOptions {
  std::optional<double> calibration_share =
      0.2;  ///< share of the sequences that calibrate; empty = all, none held back
  std::uint32_t split_seed = 0;
  unsigned threads = 0;                                                        ///< 0 = all cores
  std::function<void(std::uint64_t done, std::uint64_t total)> progress = {};  ///< tokens of the file; may be empty
  MakeSelector make_selector = {};  ///< who chooses experts by logits; empty: the threads
  bool cache = false;               ///< the table is kept beside the trace, and taken from there (table_cache.hpp)
  TableRanker* ranker = nullptr;    ///< who splits the sequences and ranks the experts; null: the threads
};

/// Reads a trace into the packed routing table.
///
/// Kept tokens: those of phase 1 where the file marks any so, else all; the kept tokens of a sequence stand side by
/// side. Sequences without one are left out. Of the S that remain, the round(share x S) with the smallest Philox draw
/// of their index in the file calibrate. Memory: one copy of the masks and one bounded chunk of the file.
///
/// Throws an `Error`: input for a refused file or more than 2^32 - 2 tokens, usage for a split that leaves a side
/// empty, machine when the masks do not fit the memory.
RoutingTable build_routing_table(const std::filesystem::path& path, const TableOptions& options = {});

/// The prefills of the sequences that `table` evaluates, in its ranks: their tokens of phase 0; where the file marks no
/// decode tokens, all, which are the table's own. All of the sequences are evaluated, none calibrates. Throws as
/// build_routing_table does, and an input error where there are no such tokens.
RoutingTable build_prefill_table(const RoutingTable& table, const TableOptions& options = {});

}  // namespace moecarlo
