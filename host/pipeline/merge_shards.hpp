#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "host/simulate/shard.hpp"
#include "host/statistics/results.hpp"

namespace moecarlo {

/// Puts the shards of a study together, in any order: tallies and report of one run, in `output`, whose results are
/// replaced where `force`. Throws input where they are not all shards of one study, or not finished; nothing is left
/// then.
StudyResults merge_shards(const std::vector<std::filesystem::path>& shards, const std::filesystem::path& output,
                          bool force);

/// Where a shard lies in the folder of its study.
std::filesystem::path shard_path(const std::filesystem::path& directory, const Shard& shard);

/// The same for the shards of a study that lie in `directory`, when the last of `count` is finished: into the folder
/// `merged` there. Nothing where some are missing, or another process is at it or has done it.
std::optional<StudyResults> merge_when_complete(const std::filesystem::path& directory, std::uint32_t count);

}  // namespace moecarlo
