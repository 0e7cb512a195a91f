#include "host/cluster/mpi_rooms.hpp"

#if defined(MOECARLO_HAVE_MPI)
#include <sys/statvfs.h>

#include <algorithm>
#include <functional>
#include <string>

#include "host/support/error.hpp"

namespace moecarlo::mpi {

void expect(int status, const char* what) {
  if (status == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(status, text, &length);
  fail(ErrorKind::machine, "MPI: {} failed (expected success, found {})", what,
       std::string(text, static_cast<std::size_t>(length)));
}

Groups Groups::of(MPI_Comm all, std::uint32_t sharing) {
  Groups groups;
  MPI_Comm machine = MPI_COMM_NULL;
  expect(MPI_Comm_split_type(all, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine), "MPI_Comm_split_type");
  MPI_Comm_rank(machine, &groups.rank);
  const int color = sharing == 0 ? 0 : groups.rank / static_cast<int>(sharing);
  expect(MPI_Comm_split(machine, color, groups.rank, &groups.near), "MPI_Comm_split");
  MPI_Comm_free(&machine);
  MPI_Comm_rank(groups.near, &groups.rank);
  MPI_Comm_size(groups.near, &groups.size);
  expect(MPI_Comm_split(all, groups.rank == 0 ? 0 : MPI_UNDEFINED, 0, &groups.firsts), "MPI_Comm_split");
  MPI_Comm_set_errhandler(groups.near, MPI_ERRORS_RETURN);
  return groups;
}

namespace {

/// Whether shared memory has room. Containers often have little of it, and some MPI libraries do not come back then.
bool is_free(std::uint64_t bytes) {
  struct statvfs status = {};
  if (::statvfs("/dev/shm", &status) != 0) return true;  // they take another place
  return bytes + bytes / 8 <= std::uint64_t{status.f_bavail} * status.f_frsize;
}

}  // namespace

bool Rooms::make(const Groups& groups, std::uint64_t counters) {
  free();
  counters_ = counters;
  if (groups.size == 1) {
    own_.assign(counters, 0);
    of_rank_ = {own_.data()};
    return true;
  }
  const std::uint64_t own_bytes = counters * sizeof(std::uint64_t);
  const int fits = is_free(own_bytes * static_cast<std::uint64_t>(groups.size)) ? 1 : 0;
  int fits_all = 0;
  expect(MPI_Allreduce(&fits, &fits_all, 1, MPI_INT, MPI_MIN, groups.near), "MPI_Allreduce");
  if (fits_all == 0) return false;
  std::uint64_t* first = nullptr;
  const auto bytes = static_cast<MPI_Aint>(own_bytes);
  if (MPI_Win_allocate_shared(bytes, sizeof(std::uint64_t), MPI_INFO_NULL, groups.near, static_cast<void*>(&first),
                              &window_) != MPI_SUCCESS) {
    window_ = MPI_WIN_NULL;
    return false;
  }
  MPI_Win_lock_all(MPI_MODE_NOCHECK, window_);
  of_rank_.resize(static_cast<std::size_t>(groups.size));
  for (int rank = 0; rank < groups.size; ++rank) {
    MPI_Aint size = 0;
    int unit = 0;
    MPI_Win_shared_query(window_, rank, &size, &unit, static_cast<void*>(&of_rank_[static_cast<std::size_t>(rank)]));
  }
  std::fill_n(first, counters, 0);
  return true;
}

void Rooms::free() {
  own_ = {};
  of_rank_.clear();
  if (window_ == MPI_WIN_NULL) return;
  MPI_Win_unlock_all(window_);
  MPI_Win_free(&window_);
}

void Rooms::sync() const {
  if (window_ != MPI_WIN_NULL) MPI_Win_sync(window_);
}

void Rooms::add_part(int rank) {
  constexpr std::uint64_t kBlock = 2048;  // stays in the nearest cache while the others are added to it
  const std::uint64_t ranks = of_rank_.size(), own = static_cast<std::uint64_t>(rank);
  const std::uint64_t end = counters_ * (own + 1) / ranks;
  for (std::uint64_t first = counters_ * own / ranks; first < end; first += kBlock) {
    const std::uint64_t size = std::min(kBlock, end - first);
    std::uint64_t* const sum = of_rank_[0] + first;
    for (std::uint64_t other = 1; other < ranks; ++other) {
      std::transform(sum, sum + size, of_rank_[other] + first, sum, std::plus<>());
    }
  }
}

}  // namespace moecarlo::mpi
#endif
