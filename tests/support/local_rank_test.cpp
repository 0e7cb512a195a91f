#include "host/support/local_rank.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace moecarlo {
namespace {

std::uint32_t rank_in(const std::map<std::string, std::string>& environment) {
  return local_rank([&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  });
}

TEST(LocalRank, is_what_the_launcher_says) {
  EXPECT_EQ(rank_in({}), 0U);
  EXPECT_EQ(rank_in({{"SLURM_LOCALID", "3"}}), 3U);
  EXPECT_EQ(rank_in({{"OMPI_COMM_WORLD_LOCAL_RANK", "5"}}), 5U);
  EXPECT_EQ(rank_in({{"MV2_COMM_WORLD_LOCAL_RANK", "6"}}), 6U);
  EXPECT_EQ(rank_in({{"MPI_LOCALRANKID", "7"}}), 7U);
}

TEST(LocalRank, comes_from_mpi_before_slurm) {
  EXPECT_EQ(rank_in({{"SLURM_LOCALID", "0"}, {"OMPI_COMM_WORLD_LOCAL_RANK", "2"}}), 2U);
}

TEST(LocalRank, passes_over_what_is_no_number) {
  EXPECT_EQ(rank_in({{"OMPI_COMM_WORLD_LOCAL_RANK", "2x"}, {"SLURM_LOCALID", "1"}}), 1U);
  EXPECT_EQ(rank_in({{"SLURM_LOCALID", "-1"}}), 0U);
  EXPECT_EQ(rank_in({{"SLURM_LOCALID", ""}}), 0U);
}

}  // namespace
}  // namespace moecarlo
