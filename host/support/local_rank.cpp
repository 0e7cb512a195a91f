#include "host/support/local_rank.hpp"

#include <charconv>
#include <cstdlib>
#include <cstring>

namespace moecarlo {

std::uint32_t local_rank(const std::function<const char*(const char*)>& variable) {
  // An MPI started inside a Slurm job knows better than Slurm, which may count its launchers.
  for (const char* name :
       {"OMPI_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"}) {
    const char* text = variable(name);
    if (text == nullptr) continue;
    std::uint32_t rank = 0;
    const char* end = text + std::strlen(text);
    if (const auto read = std::from_chars(text, end, rank); read.ec == std::errc() && read.ptr == end) return rank;
  }
  return 0;
}

std::uint32_t local_rank() {
  return local_rank([](const char* name) { return static_cast<const char*>(std::getenv(name)); });
}

}  // namespace moecarlo
