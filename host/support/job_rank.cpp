#include "host/support/job_rank.hpp"

#include <charconv>
#include <cstdlib>
#include <cstring>

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
                                       {"SLURM_PROCID", "SLURM_NTASKS"}};
  for (const auto& [rank_name, size_name] : kNames) {
    const auto rank = number_in(variable, rank_name), size = number_in(variable, size_name);
    if (rank && size && *rank < *size) return JobRank{*rank, *size};
  }
  return {};
}

std::optional<JobRank> job_rank() {
  return job_rank(variable_of_process);
}

}  // namespace moecarlo
