#include "host/cluster/communicator.hpp"

#if defined(MOECARLO_HAVE_MPI)
#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <thread>

#include "host/cluster/mpi_rooms.hpp"
#include "host/support/error.hpp"
#endif

namespace moecarlo {

#if defined(MOECARLO_HAVE_MPI)

bool Communicator::is_possible() {
  return true;
}

namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 28;  // of one message: MPI counts in int
constexpr int kReport = 1, kBit = 2;                      // tags

using mpi::expect;

/// use(first, count) for blocks of at most kMostBytes.
template <class T, class Use>
void in_blocks(std::span<T> data, const Use& use) {
  for (std::size_t first = 0; first < data.size();) {
    const std::size_t count = std::min(data.size() - first, kMostBytes / sizeof(T));
    use(data.data() + first, static_cast<int>(count));
    first += count;
  }
}

}  // namespace

struct Communicator::Channel {
  MPI_Comm all = MPI_COMM_WORLD;
  mpi::Groups groups;
  mpi::Rooms rooms;
  double patience_seconds = std::numeric_limits<double>::infinity();

  /// Whether what is under way ends in time.
  bool ends(MPI_Request request, const char* what) const {
    constexpr int kQuickLooks = 1000;
    const auto begin = std::chrono::steady_clock::now();
    for (int is_done = 0, looks = 0;; ++looks) {
      expect(MPI_Test(&request, &is_done, MPI_STATUS_IGNORE), what);
      if (is_done != 0) return true;
      if (looks < kQuickLooks) continue;
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - begin;
      if (waited.count() > patience_seconds) return false;
    }
  }

  /// Whether all of a group come in time.
  bool meet(MPI_Comm group) const {
    MPI_Request request = MPI_REQUEST_NULL;
    expect(MPI_Ibarrier(group, &request), "MPI_Ibarrier");
    return ends(request, "MPI_Ibarrier");
  }
};

std::unique_ptr<Communicator> Communicator::join(std::uint32_t sharing) {
  int provided = MPI_THREAD_SINGLE;
  expect(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided), "MPI_Init_thread");
  if (provided < MPI_THREAD_SERIALIZED) {
    fail(ErrorKind::machine, "MPI: too few threads may call it (expected MPI_THREAD_SERIALIZED, found level {})",
         provided);
  }
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  auto channel = std::make_unique<Channel>();
  channel->groups = mpi::Groups::of(channel->all, sharing);
  return std::unique_ptr<Communicator>(new Communicator(std::move(channel)));
}

Communicator::Communicator(std::unique_ptr<Channel> channel) : channel_(std::move(channel)) {
  int rank = 0, size = 1;
  MPI_Comm_rank(channel_->all, &rank);
  MPI_Comm_size(channel_->all, &size);
  rank_ = static_cast<std::uint32_t>(rank);
  size_ = static_cast<std::uint32_t>(size);
}

Communicator::~Communicator() {
  if (gives_up_) MPI_Abort(channel_->all, static_cast<int>(ErrorKind::machine));
  channel_->rooms.free();
  MPI_Finalize();
}

void Communicator::wait_at_most(double seconds) {
  channel_->patience_seconds = seconds;
}

void Communicator::expect_end(bool ends, const char* what) {
  if (ends) return;
  give_up();
  fail(ErrorKind::machine, "MPI: {} does not end (expected within {} s, found some process silent)", what,
       channel_->patience_seconds);
}

void Communicator::broadcast(std::span<std::byte> data) {
  in_blocks(data, [&](std::byte* block, int count) {
    MPI_Request request = MPI_REQUEST_NULL;
    expect(MPI_Ibcast(block, count, MPI_BYTE, 0, channel_->all, &request), "MPI_Ibcast");
    expect_end(channel_->ends(request, "MPI_Ibcast"), "MPI_Ibcast");
  });
}

std::span<std::uint64_t> Communicator::make_room(std::uint64_t counters) {
  mpi::Groups& groups = channel_->groups;
  mpi::Rooms& rooms = channel_->rooms;
  expect_end(channel_->meet(channel_->all), "MPI_Ibarrier");
  const int is_made = rooms.make(groups, counters) ? 1 : 0;
  int all_made = 0;
  expect(MPI_Allreduce(&is_made, &all_made, 1, MPI_INT, MPI_MIN, channel_->all), "MPI_Allreduce");
  if (all_made == 0) {  // somewhere there is no memory to share
    rooms.free();
    groups = mpi::Groups();
    rooms.make(groups, counters);
  }
  return {rooms.of(groups.rank), counters};
}

void Communicator::add_up() {
  const mpi::Groups& groups = channel_->groups;
  mpi::Rooms& rooms = channel_->rooms;
  if (groups.size > 1) {
    const auto meet = [&] {
      rooms.sync();
      expect_end(channel_->meet(groups.near), "MPI_Ibarrier");
      rooms.sync();
    };
    meet();
    rooms.add_part(groups.rank);
    meet();
  }
  if (groups.rank != 0) return;
  in_blocks(std::span(rooms.of(0), rooms.counters()), [&](std::uint64_t* block, int count) {
    MPI_Request request = MPI_REQUEST_NULL;
    const void* own = leads() ? MPI_IN_PLACE : block;
    expect(MPI_Ireduce(own, block, count, MPI_UINT64_T, MPI_SUM, 0, groups.firsts, &request), "MPI_Ireduce");
    expect_end(channel_->ends(request, "MPI_Ireduce"), "MPI_Ireduce");
  });
}

void Communicator::report(const std::string& line) {
  expect(MPI_Send(line.data(), static_cast<int>(line.size()), MPI_CHAR, 0, kReport, channel_->all), "MPI_Send");
}

std::optional<std::string> Communicator::reported(std::uint32_t rank) {
  int is_there = 0, length = 0;
  MPI_Status status;
  expect(MPI_Iprobe(static_cast<int>(rank), kReport, channel_->all, &is_there, &status), "MPI_Iprobe");
  if (is_there == 0) return std::nullopt;
  MPI_Get_count(&status, MPI_CHAR, &length);
  std::string line(static_cast<std::size_t>(length), ' ');
  expect(MPI_Recv(line.data(), length, MPI_CHAR, static_cast<int>(rank), kReport, channel_->all, MPI_STATUS_IGNORE),
         "MPI_Recv");
  return line;
}

void Communicator::tell(std::uint32_t rank, bool bit) {
  const char byte = bit ? 1 : 0;
  expect(MPI_Send(&byte, 1, MPI_CHAR, static_cast<int>(rank), kBit, channel_->all), "MPI_Send");
}

bool Communicator::is_told() {
  int is_there = 0;
  expect(MPI_Iprobe(0, kBit, channel_->all, &is_there, MPI_STATUS_IGNORE), "MPI_Iprobe");
  return is_there != 0;
}

bool Communicator::hear() {
  char byte = 0;
  expect(MPI_Recv(&byte, 1, MPI_CHAR, 0, kBit, channel_->all, MPI_STATUS_IGNORE), "MPI_Recv");
  return byte != 0;
}

#else

bool Communicator::is_possible() {
  return false;
}

struct Communicator::Channel {};
std::unique_ptr<Communicator> Communicator::join(std::uint32_t /*sharing*/) {
  return nullptr;
}
Communicator::Communicator(std::unique_ptr<Channel> channel) : channel_(std::move(channel)) {}
Communicator::~Communicator() = default;
void Communicator::wait_at_most(double /*seconds*/) {}
void Communicator::expect_end(bool /*ends*/, const char* /*what*/) {}
void Communicator::broadcast(std::span<std::byte> /*data*/) {}
std::span<std::uint64_t> Communicator::make_room(std::uint64_t /*counters*/) {
  return {};
}
void Communicator::add_up() {}
void Communicator::report(const std::string& /*line*/) {}
std::optional<std::string> Communicator::reported(std::uint32_t /*rank*/) {
  return std::nullopt;
}
void Communicator::tell(std::uint32_t /*rank*/, bool /*bit*/) {}
bool Communicator::is_told() {
  return false;
}
bool Communicator::hear() {
  return false;
}

#endif

}  // namespace moecarlo
