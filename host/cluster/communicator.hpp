#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace moecarlo {

/// The processes of an MPI job, numbered from 0 on; process 0 leads. Calls come from one thread at a time, and each
/// call that says "all" is made by all of them in the same order. Where this program was built without MPI there is no
/// communicator.
class Communicator {
 public:
  /// Whether this program was built with MPI.
  static bool is_possible();

  /// Joins the job that this process was started in, once a process; null where the program was built without MPI.
  /// Processes of a machine share memory, at most so many of them; 0: all.
  static std::unique_ptr<Communicator> join(std::uint32_t sharing = 0);

  /// Leaves the job, which waits for the others; after `give_up` it ends the job instead.
  ~Communicator();
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  std::uint32_t rank() const { return rank_; }
  std::uint32_t size() const { return size_; }
  bool leads() const { return rank_ == 0; }

  /// How long process 0 waits in what all do, for one of them: then it gives up, by a machine error. At first for ever.
  void wait_at_most(double seconds);

  /// All: what process 0 holds becomes what all hold. Who has to wait for long sleeps meanwhile.
  void broadcast(std::span<std::byte> data);

  /// All: memory for so many counters of this process, zero at first, until the next call. Those of a machine see each
  /// other's, where it has shared memory for them.
  std::span<std::uint64_t> make_room(std::uint64_t counters);

  /// All: adds what stands in the rooms of the others to that of process 0; theirs are of no use afterwards.
  void add_up();

  /// A line to process 0, from another one; and what a process has sent, if it has. Lines of a process come in order.
  void report(const std::string& line);
  std::optional<std::string> reported(std::uint32_t rank);

  /// One bit from process 0 to another; whether one is there to be heard, and hearing it, which waits for it.
  void tell(std::uint32_t rank, bool bit);
  bool is_told();
  bool hear();

  /// Process 0: some other one is lost. Nobody is waited for any more.
  void give_up() { gives_up_ = true; }
  bool has_given_up() const { return gives_up_; }

 private:
  struct Channel;
  explicit Communicator(std::unique_ptr<Channel> channel);
  void expect_end(bool ends, const char* what);

  std::unique_ptr<Channel> channel_;
  std::uint32_t rank_ = 0, size_ = 1;
  bool gives_up_ = false;
};

}  // namespace moecarlo
