#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace moecarlo {

/// The number of this process among those of its launcher on this machine, from 0 on: what Slurm, Open MPI, MVAPICH or
/// an MPI with Hydra (MPICH, Intel) says of it in the environment; 0 where nothing does. `variable(name)` looks up the
/// environment and gives null for what is not there.
std::uint32_t local_rank(const std::function<const char*(const char*)>& variable);

/// The same from the environment of this process.
std::uint32_t local_rank();

}  // namespace moecarlo
