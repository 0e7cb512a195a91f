#include "host/pipeline/merge_shards.hpp"

#include <fmt/format.h>

#include "host/pipeline/output_folder.hpp"
#include "host/pipeline/study_results.hpp"
#include "host/report/narrative/write_report.hpp"
#include "host/simulate/shard_sum.hpp"
#include "host/support/error.hpp"

namespace moecarlo {

std::filesystem::path shard_path(const std::filesystem::path& directory, const Shard& shard) {
  return shard.is_whole() ? directory : directory / fmt::format("shard-{}-of-{}", shard.index, shard.count);
}

StudyResults merge_shards(const std::vector<std::filesystem::path>& shards, const std::filesystem::path& output,
                          bool force) {
  ShardSum sum;
  for (const std::filesystem::path& directory : shards) {
    Provenance provenance;
    std::vector<JointBins> joints;
    Tallies shard = read_tallies(tallies_path(directory), provenance, joints);
    sum.add(directory, std::move(shard), std::move(joints), provenance);
  }
  const Tallies whole = sum.whole();
  if (force) remove_results(output);
  write_tallies(tallies_path(output), whole, sum.joints(), sum.provenance());
  try {
    StudyResults results = results_from_tallies(output, {});
    results.backend = fmt::format("{} shards", shards.size());
    results.seconds = 0;
    write_report(results, output);
    return results;
  } catch (...) {  // the shards are there to be merged again
    remove_results(output);
    throw;
  }
}

std::optional<StudyResults> merge_when_complete(const std::filesystem::path& directory, std::uint32_t count) {
  std::vector<std::filesystem::path> shards;
  for (std::uint32_t index = 0; index < count; ++index) {
    shards.push_back(shard_path(directory, {index, count}));
    if (!is_finished(tallies_path(shards.back()))) return std::nullopt;
  }
  const auto folder = OutputFolder::if_free(directory / "merged");
  if (!folder || std::filesystem::exists(directory / "merged/summary.json")) return std::nullopt;
  return merge_shards(shards, directory / "merged", true);  // what stands there without it is half a merge
}

}  // namespace moecarlo
