#include "host/support/parallel.hpp"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace moecarlo {

unsigned thread_count(unsigned requested) {
  if (requested != 0) return requested;
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return static_cast<unsigned>(CPU_COUNT(&allowed));
  return std::max(1U, std::thread::hardware_concurrency());
}

void parallel_for(std::uint64_t items, unsigned threads,
                  const std::function<void(std::uint64_t item, unsigned worker)>& body) {
  const auto workers = static_cast<unsigned>(std::min<std::uint64_t>(items, thread_count(threads)));
  std::atomic<std::uint64_t> next{0};
  std::mutex failure_mutex;
  std::exception_ptr failure;

  const auto work = [&](unsigned worker) {
    try {
      for (std::uint64_t item = next++; item < items; item = next++) body(item, worker);
    } catch (...) {
      next = items;
      const std::scoped_lock lock(failure_mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> helpers;  // the caller itself is worker 0
    for (unsigned worker = 1; worker < workers; ++worker) helpers.emplace_back(work, worker);
    work(0);
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace moecarlo
