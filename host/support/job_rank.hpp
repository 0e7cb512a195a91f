#pragma once

#include <cstdint>
#include <functional>
#include <optional>

namespace moecarlo {

// What the launcher of a job, Slurm, Open MPI, MVAPICH or an MPI with Hydra (MPICH, Intel), says in the environment of
// its processes. `variable(name)` looks the environment up and gives null for what is not there; the functions without
// it ask that of this process.

using Environment = std::function<const char*(const char*)>;

/// The number of this process among those of its launcher on this machine, from 0 on; 0 where nothing says it.
std::uint32_t local_rank(const Environment& variable);
std::uint32_t local_rank();

/// The number of this process among all of the job, and how many there are.
struct JobRank {
  std::uint32_t rank = 0;
  std::uint32_t size = 1;
  bool can_meet = true;  ///< the launcher gives an MPI what its processes need to find each other
};

/// Nothing where nothing says it. The script of a Slurm job is one process, however many its steps have.
std::optional<JobRank> job_rank(const Environment& variable);
std::optional<JobRank> job_rank();

/// The same of a Slurm job array: its tasks in the order of their ids, which may begin anywhere and have a step.
std::optional<JobRank> array_rank(const Environment& variable);
std::optional<JobRank> array_rank();

}  // namespace moecarlo
