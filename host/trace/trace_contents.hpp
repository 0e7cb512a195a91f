#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "host/support/hdf5.hpp"
#include "host/trace/trace_reader.hpp"

namespace moecarlo {

/// An opened trace file: what was small enough to read at once, and the datasets that are read piece by piece.
struct TraceContents {
  hdf5::Group root;
  TraceInfo info;
  ScoringRule scoring;
  TraceExtras extras;
  std::vector<std::uint64_t> sequence_offsets;
  std::vector<std::uint8_t> phase;
  std::vector<std::int32_t> layer_numbers;
  std::vector<float> selection_bias;
  std::optional<hdf5::Dataset> logits, expert_ids;  ///< exactly one of the two
  std::optional<hdf5::Dataset> expert_weights, token_ids;
};

/// Opens a trace and checks every rule of the format that needs no look at the tokens.
TraceContents open_trace(const std::filesystem::path& path);

}  // namespace moecarlo
