#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace moecarlo {

/// Resizes an empty vector so that it lies in large pages where the system has some: random reads of a table of many
/// megabytes otherwise wait for address translation as much as for the memory.
template <class T>
void resize_in_large_pages(std::vector<T>& numbers, std::size_t size) {
  numbers.reserve(size);
#if defined(MADV_HUGEPAGE)
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t bytes = size * sizeof(T), before = -reinterpret_cast<std::uintptr_t>(numbers.data()) % page;
  // Advice: where it is not taken, nothing but speed is lost.
  if (bytes >= before + page) {
    auto* const first = reinterpret_cast<std::byte*>(numbers.data()) + before;
    static_cast<void>(::madvise(first, (bytes - before) / page * page, MADV_HUGEPAGE));
  }
#endif
  numbers.resize(size);
}

}  // namespace moecarlo
