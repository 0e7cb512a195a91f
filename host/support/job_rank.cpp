#include "host/support/job_rank.hpp"

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace moecarlo {
namespace {

std::optional<std::uint32_t> number_in(const Environment& variable, const char* name) {
  const char* text = variable(name);
  if (text == nullptr) return {};
  std::uint32_t number = 0;
  const char* end = text + std::strlen(text);
  const auto read = std::from_chars(text, end, number);
  if (read.ec != std::errc() || read.ptr != end) return {};
  return number;
}

const char* variable_of_process(const char* name) {
  return std::getenv(name);
}

}  // namespace

// An MPI started inside a Slurm job knows better than Slurm, which may count its launchers.

std::uint32_t local_rank(const Environment& variable) {
  for (const char* name :
       {"OMPI_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"}) {
    if (const auto rank = number_in(variable, name)) return *rank;
  }
  return 0;
}

std::uint32_t local_rank() {
  return local_rank(variable_of_process);
}

std::optional<JobRank> job_rank(const Environment& variable) {
  constexpr const char* kNames[][2] = {{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
                                       {"MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"},
                                       {"PMI_RANK", "PMI_SIZE"},
                                       {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS"}};
  for (const auto& [rank_name, size_name] : kNames) {
    const auto rank = number_in(variable, rank_name), size = number_in(variable, size_name);
    const bool of_slurm = std::string_view(rank_name) == "SLURM_PROCID";
    if (rank && size && *rank < *size) return JobRank{*rank, *size, !of_slurm || variable("PMIX_RANK") != nullptr};
  }
  return {};
}

std::optional<JobRank> array_rank(const Environment& variable) {
  const auto id = number_in(variable, "SLURM_ARRAY_TASK_ID"), first = number_in(variable, "SLURM_ARRAY_TASK_MIN"),
             count = number_in(variable, "SLURM_ARRAY_TASK_COUNT"), step = number_in(variable, "SLURM_ARRAY_TASK_STEP");
  if (!id || !first || !count || *id < *first || step == 0U) return {};
  const std::uint32_t rank = (*id - *first) / step.value_or(1);
  if (rank >= *count) return {};  // an array of ids without a pattern
  return JobRank{rank, *count};
}

std::optional<JobRank> array_rank() {
  return array_rank(variable_of_process);
}

std::optional<JobRank> job_rank() {
  return job_rank(variable_of_process);
}

}  // namespace moecarlo
