#pragma once

// The threads of one warp as coroutines of a host thread, so that device code that a warp runs together can be tested
// without a device. Include it before that code.

#include <gtest/gtest.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#define MOECARLO_WARP
#define __device__

namespace moecarlo::testing {

/// Runs what the 32 threads of a warp run. Each goes on until it takes part in something that all do together; where
/// one does something else by then, or has ended, a device would wait for ever, and the test fails.
class WarpOnHost {
 public:
  static constexpr std::uint32_t kThreads = 32;
  using Numbers = std::array<std::uint64_t, kThreads>;

  /// thread(lane) is called once for every lane.
  static void run(const std::function<void(std::uint32_t)>& thread) {
    WarpOnHost warp(thread);
    current_ = &warp;
    warp.go();
    current_ = nullptr;
  }

  /// What all threads brought to `meeting`.
  static Numbers meet(const char* meeting, std::uint64_t number) { return current_->wait(meeting, number); }

 private:
  static constexpr std::size_t kStack = 256 << 10;

  struct Thread {
    ucontext_t context{};
    std::string meeting;  ///< that it waits for; empty when it has ended
    bool ended = false;
  };

  explicit WarpOnHost(const std::function<void(std::uint32_t)>& thread) : body_(thread), threads_(kThreads) {
    for (std::size_t lane = 0; lane < kThreads; ++lane) prepare(threads_[lane], stacks_.data() + lane * kStack);
  }

  void prepare(Thread& one, char* stack) {
    getcontext(&one.context);
    one.context.uc_stack.ss_sp = stack;
    one.context.uc_stack.ss_size = kStack;
    one.context.uc_link = &scheduler_;
    makecontext(&one.context, &WarpOnHost::begin, 0);
  }

  static void begin() {
    const std::uint32_t lane = current_->running_;
    current_->body_(lane);
    current_->threads_[lane].ended = true;
    current_->threads_[lane].meeting.clear();
  }

  void go() {
    while (!threads_[0].ended) {
      for (running_ = 0; running_ < kThreads; ++running_) swapcontext(&scheduler_, &threads_[running_].context);
      for (std::uint32_t lane = 1; lane < kThreads; ++lane) {
        if (threads_[lane].ended == threads_[0].ended && threads_[lane].meeting == threads_[0].meeting) continue;
        ADD_FAILURE() << "thread " << lane << " is at '" << threads_[lane].meeting << "', thread 0 at '"
                      << threads_[0].meeting << "'";
        return;
      }
      met_ = brought_;
    }
  }

  Numbers wait(const char* meeting, std::uint64_t number) {
    const std::uint32_t lane = running_;
    brought_[lane] = number;
    threads_[lane].meeting = meeting;
    swapcontext(&threads_[lane].context, &scheduler_);
    return met_;
  }

  inline static WarpOnHost* current_ = nullptr;
  inline static std::vector<char> stacks_ = std::vector<char>(kThreads * kStack);
  std::function<void(std::uint32_t)> body_;
  std::vector<Thread> threads_;
  ucontext_t scheduler_{};
  std::uint32_t running_ = 0;
  Numbers brought_{}, met_{};
};

}  // namespace moecarlo::testing

// The functions of a device that such code calls.
namespace moecarlo {

using std::min;
inline int __popc(std::uint32_t word) {
  return __builtin_popcount(word);
}
inline int __ffs(int word) {
  return __builtin_ffs(word);
}
inline void __syncwarp() {
  testing::WarpOnHost::meet("__syncwarp", 0);
}
inline std::uint32_t atomicAdd(std::uint32_t* number, std::uint32_t amount) {
  return std::exchange(*number, *number + amount);
}
inline std::uint32_t __ballot_sync(unsigned, bool own) {
  std::uint32_t word = 0, bit = 1;
  for (const std::uint64_t number : testing::WarpOnHost::meet("__ballot_sync", own ? 1 : 0)) {
    word |= number != 0 ? bit : 0;
    bit <<= 1;
  }
  return word;
}
template <class Number>
Number __shfl_sync(unsigned, Number own, int lane) {
  return static_cast<Number>(testing::WarpOnHost::meet("__shfl_sync", own)[static_cast<std::size_t>(lane)]);
}
inline std::uint32_t __reduce_max_sync(unsigned, std::uint32_t own) {
  const auto all = testing::WarpOnHost::meet("__reduce_max_sync", own);
  return static_cast<std::uint32_t>(*std::max_element(all.begin(), all.end()));
}

}  // namespace moecarlo
