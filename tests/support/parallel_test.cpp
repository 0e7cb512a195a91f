#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "host/support/parallel.hpp"

namespace moecarlo {
namespace {

TEST(ParallelFor, CallsEachItemOnce) {
  for (const unsigned threads : {0U, 1U, 3U, 16U}) {
    for (const std::uint64_t items : {0U, 1U, 5U, 1000U}) {
      std::vector<std::atomic<int>> calls(items);
      parallel_for(items, threads, [&](std::uint64_t item, unsigned worker) {
        EXPECT_LT(worker, thread_count(threads));
        ++calls[item];
      });
      for (const auto& count : calls) EXPECT_EQ(count, 1);
    }
  }
}

TEST(ParallelFor, WorkersDoNotShareScratchSpace) {
  std::vector<std::uint64_t> sum_of_worker(4);  // a race on one of these would lose additions
  parallel_for(100'000, 4, [&](std::uint64_t item, unsigned worker) { sum_of_worker[worker] += item; });
  std::uint64_t sum = 0;
  for (const std::uint64_t part : sum_of_worker) sum += part;
  EXPECT_EQ(sum, 100'000ULL * 99'999 / 2);
}

TEST(ParallelFor, RethrowsAndBeginsNoNewItems) {
  for (const unsigned threads : {1U, 4U}) {
    std::atomic<int> calls{0};
    const auto body = [&](std::uint64_t item, unsigned) {
      ++calls;
      if (item == 10) throw std::runtime_error("item 10");
      std::this_thread::sleep_for(std::chrono::microseconds(10));
    };
    EXPECT_THROW(parallel_for(1'000'000, threads, body), std::runtime_error);
    EXPECT_LT(calls, 100'000);
  }
}

TEST(ThreadCount, ZeroMeansTheCoresThisProcessMayUse) {
  EXPECT_EQ(thread_count(7), 7U);
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  EXPECT_EQ(thread_count(0), static_cast<unsigned>(CPU_COUNT(&before)));
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<unsigned>(sched_getcpu()), &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(thread_count(0), 1U);
  sched_setaffinity(0, sizeof before, &before);
}

}  // namespace
}  // namespace moecarlo
