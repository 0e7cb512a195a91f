#include "host/support/job_rank.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace moecarlo {
namespace {

using Variables = std::map<std::string, std::string>;

Environment of(const Variables& variables) {
  return [&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
}

std::uint32_t rank_in(const Variables& variables) {
  return local_rank(of(variables));
}

/// "rank of size", or "none".
std::string job_rank_in(const Variables& variables) {
  const auto job = job_rank(of(variables));
  return job ? std::to_string(job->rank) + " of " + std::to_string(job->size) : "none";
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

TEST(JobRank, is_what_the_launcher_says) {
  EXPECT_EQ(job_rank_in({}), "none");
  EXPECT_EQ(job_rank_in({{"SLURM_PROCID", "3"}, {"SLURM_STEP_NUM_TASKS", "4"}}), "3 of 4");
  EXPECT_EQ(job_rank_in({{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "2"}}), "0 of 2");
  EXPECT_EQ(job_rank_in({{"MV2_COMM_WORLD_RANK", "1"}, {"MV2_COMM_WORLD_SIZE", "2"}}), "1 of 2");
  EXPECT_EQ(job_rank_in({{"PMI_RANK", "5"}, {"PMI_SIZE", "8"}}), "5 of 8");
}

TEST(JobRank, comes_from_mpi_before_slurm) {
  EXPECT_EQ(job_rank_in({{"SLURM_PROCID", "0"}, {"SLURM_STEP_NUM_TASKS", "1"}, {"PMI_RANK", "2"}, {"PMI_SIZE", "3"}}),
            "2 of 3");
}

TEST(JobRank, passes_over_what_is_impossible) {
  EXPECT_EQ(job_rank_in({{"PMI_RANK", "1"}}), "none");
  EXPECT_EQ(job_rank_in({{"PMI_RANK", "2"}, {"PMI_SIZE", "2"}}), "none");
  EXPECT_EQ(job_rank_in({{"PMI_RANK", "x"}, {"PMI_SIZE", "2"}, {"SLURM_PROCID", "1"}, {"SLURM_STEP_NUM_TASKS", "2"}}),
            "1 of 2");
}

TEST(JobRank, OfTheScriptOfASlurmJobIsNone) {
  EXPECT_EQ(job_rank_in({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}}), "none");
}

TEST(JobRank, KnowsWhetherSlurmLetsProcessesMeet) {
  const Variables step{{"SLURM_PROCID", "1"}, {"SLURM_STEP_NUM_TASKS", "2"}};
  EXPECT_FALSE(job_rank(of(step))->can_meet);
  Variables with_pmix = step;
  with_pmix["PMIX_RANK"] = "1";
  EXPECT_TRUE(job_rank(of(with_pmix))->can_meet);
  EXPECT_TRUE(job_rank(of({{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "2"}}))->can_meet);
}

TEST(ArrayRank, CountsIdsFromTheFirstOneInTheirSteps) {
  const auto rank = [](const char* id, const char* first, const char* count, const char* step) {
    const auto found = array_rank(of({{"SLURM_ARRAY_TASK_ID", id},
                                      {"SLURM_ARRAY_TASK_MIN", first},
                                      {"SLURM_ARRAY_TASK_COUNT", count},
                                      {"SLURM_ARRAY_TASK_STEP", step}}));
    return found ? std::to_string(found->rank) + " of " + std::to_string(found->size) : "none";
  };
  EXPECT_EQ(rank("0", "0", "8", "1"), "0 of 8");
  EXPECT_EQ(rank("8", "1", "8", "1"), "7 of 8");
  EXPECT_EQ(rank("15", "5", "3", "5"), "2 of 3");
  EXPECT_EQ(rank("20", "1", "3", "1"), "none");
  EXPECT_EQ(rank("1", "1", "3", "0"), "none");
  EXPECT_FALSE(array_rank(of({})).has_value());
}

}  // namespace
}  // namespace moecarlo
