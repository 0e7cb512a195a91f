#pragma once

#if defined(MOECARLO_HAVE_MPI)
#include <mpi.h>

#include <cstdint>
#include <vector>

namespace moecarlo::mpi {

/// Throws a machine error that names what failed, and why.
void expect(int status, const char* what);

/// The processes that see each other's memory, and the first ones of all such groups.
struct Groups {
  MPI_Comm near = MPI_COMM_SELF, firsts = MPI_COMM_WORLD;
  int rank = 0, size = 1;  ///< in `near`

  /// Groups of at most `sharing` processes of a machine; 0: all of them.
  static Groups of(MPI_Comm all, std::uint32_t sharing);
};

/// Counters of every process of a group, in shared memory: whoever is alone has its own.
class Rooms {
 public:
  /// All of the group: so many counters for each, all zero. False where there is no memory that they could share.
  bool make(const Groups& groups, std::uint64_t counters);
  void free();

  std::uint64_t counters() const { return counters_; }
  std::uint64_t* of(int rank) const { return of_rank_[static_cast<std::size_t>(rank)]; }

  /// Between two meetings of the group: what was written before is there for the others afterwards.
  void sync() const;

  /// This rank's part of the sum of all, into the first room.
  void add_part(int rank);

 private:
  MPI_Win window_ = MPI_WIN_NULL;
  std::vector<std::uint64_t> own_;
  std::vector<std::uint64_t*> of_rank_;
  std::uint64_t counters_ = 0;
};

}  // namespace moecarlo::mpi
#endif
