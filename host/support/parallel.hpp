#pragma once

#include <cstdint>
#include <functional>

namespace moecarlo {

/// Threads to use where `requested` were asked for: 0 means every core this process may run on.
unsigned thread_count(unsigned requested);

/// Calls body(item, worker) once for each item 0 .. items - 1, in no particular order, on thread_count(threads) threads
/// at most; worker < thread_count(threads) tells which, for scratch space. Items should be coarse (microseconds or
/// more). After an exception no new items begin; the first one is rethrown in the caller.
void parallel_for(std::uint64_t items, unsigned threads,
                  const std::function<void(std::uint64_t item, unsigned worker)>& body);

}  // namespace moecarlo
