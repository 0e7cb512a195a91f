#include "host/cluster/crew.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "host/cluster/broadcast.hpp"
#include "host/support/error.hpp"

namespace moecarlo {
namespace {

using Clock = std::chrono::steady_clock;

/// What the leader asks of all others.
struct Command {
  enum class Kind : std::uint32_t { share, make_room, run, finish };

  Kind kind = Kind::finish;
  std::uint64_t counters = 0;  ///< of a room
  TrajectoryRange range{};

  void say(Communicator& all) { all.broadcast(std::as_writable_bytes(std::span(this, 1))); }
};

/// The share of a process in a range.
TrajectoryRange share_of(const TrajectoryRange& range, std::uint32_t rank, std::uint32_t size) {
  const std::uint64_t count = range.last - range.first;
  TrajectoryRange own = range;
  own.first = range.first + count / size * rank + std::min<std::uint64_t>(rank, count % size);
  own.last = own.first + count / size + (rank < count % size ? 1 : 0);
  return own;
}

/// Naps between two looks at whether something has happened: short at first.
class Naps {
 public:
  void take() {
    std::this_thread::sleep_for(nap_);
    nap_ = std::min(2 * nap_, std::chrono::microseconds(2000));
  }

 private:
  std::chrono::microseconds nap_{20};
};

class CrewBackend final : public Backend {
 public:
  CrewBackend(Communicator& all, std::unique_ptr<Backend> own, double patience_seconds)
      : all_(all), own_(std::move(own)), patience_seconds_(patience_seconds) {}

  std::string name() const override { return own_->name(); }

  std::span<std::uint64_t> room(std::size_t counters) override {
    Command{Command::Kind::make_room, counters}.say(all_);
    return all_.make_room(counters);
  }

  bool run(const TrajectoryRange& range, std::span<std::uint64_t> counters,
           const std::function<bool()>& stop) override {
    Command{Command::Kind::run, counters.size(), range}.say(all_);
    is_decided_ = false;
    std::exception_ptr failure;
    try {
      if (!own_->run(share_of(range, 0, all_.size()), counters, stop)) decide(false);
    } catch (const Error&) {  // a device was lost: the others are let go all the same
      failure = std::current_exception();
      decide(false);
    }
    wait_for_all(stop);
    if (failure) std::rethrow_exception(failure);
    if (is_decided_) return false;
    decide(true);
    all_.add_up();
    return true;
  }

 private:
  /// Whether what is counted shall be added up: told once, as soon as it is known.
  void decide(bool adds_up) {
    if (is_decided_) return;
    is_decided_ = true;
    for (std::uint32_t rank = 1; rank < all_.size(); ++rank) all_.tell(rank, adds_up);
  }

  void wait_for_all(const std::function<bool()>& stop) {
    std::vector<bool> is_done(all_.size(), false);
    std::uint32_t waiting = all_.size() - 1;
    std::string failure;
    Clock::time_point heard = Clock::now();
    for (Naps naps; waiting > 0; naps.take()) {
      for (std::uint32_t rank = 1; rank < all_.size(); ++rank) {
        if (is_done[rank]) continue;
        const auto line = all_.reported(rank);
        if (!line) continue;
        is_done[rank] = true;
        --waiting;
        heard = Clock::now();
        if (line->empty() || !failure.empty()) continue;
        failure = fmt::format("process {} of {}: {}", rank, all_.size(), *line);
        decide(false);
      }
      if (stop && stop()) decide(false);
      if (std::chrono::duration<double>(Clock::now() - heard).count() > patience_seconds_) lose(is_done);
    }
    if (!failure.empty()) throw Error(ErrorKind::machine, failure);
  }

  /// Nobody can be waited for any more, not even to end together.
  [[noreturn]] void lose(const std::vector<bool>& is_done) {
    all_.give_up();
    const auto lost = std::find(is_done.begin() + 1, is_done.end(), false) - is_done.begin();
    fail(ErrorKind::machine, "process {} of {}: silent (expected an answer within {} s, found none)", lost, all_.size(),
         patience_seconds_);
  }

  Communicator& all_;
  std::unique_ptr<Backend> own_;
  double patience_seconds_;
  bool is_decided_ = false;
};

/// Whether the leader has called off a range; asked by many threads, of which one at a time looks.
class CalledOff {
 public:
  explicit CalledOff(Communicator& all) : all_(all) {}

  bool operator()() {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock || Clock::now() < next_look_) return false;
    next_look_ = Clock::now() + std::chrono::milliseconds(20);
    return all_.is_told();  // while it is computed nothing else is said
  }

 private:
  Communicator& all_;
  std::mutex mutex_;
  Clock::time_point next_look_ = Clock::now();
};

/// Simulates this process's share; what went wrong, or nothing.
std::string simulate_share(Communicator& all, const Hand& hand, const TrajectoryRange& range,
                           std::span<std::uint64_t> counters) {
  try {
    if (counters.size() != hand.counters) {
      fail(ErrorKind::machine, "another plan (expected {} counters, found {})", counters.size(), hand.counters);
    }
    std::fill(counters.begin(), counters.end(), 0);
    CalledOff called_off(all);
    hand.backend->run(share_of(range, all.rank(), all.size()), counters, [&] { return called_off(); });
    return "";
  } catch (const std::exception& error) {
    return error.what();
  }
}

}  // namespace

Crew::~Crew() {
  if (!all_.has_given_up()) Command{Command::Kind::finish}.say(all_);
}

void Crew::share(RoutingTable& table, TraceSources& sources) {
  Command{Command::Kind::share}.say(all_);
  broadcast(all_, table, sources);
}

std::unique_ptr<Backend> Crew::as_backend(std::unique_ptr<Backend> own) {
  return std::make_unique<CrewBackend>(all_, std::move(own), patience_seconds_);
}

void assist(Communicator& all, const std::function<Hand(RoutingTable table, TraceSources sources)>& prepare) {
  Hand hand;
  std::string failure = "nothing was shared";
  std::span<std::uint64_t> counters;
  for (;;) {
    Command command;
    command.say(all);  // of the leader
    if (command.kind == Command::Kind::finish) return;
    if (command.kind == Command::Kind::make_room) {
      counters = all.make_room(command.counters);
      continue;
    }
    if (command.kind == Command::Kind::share) {
      RoutingTable table;
      TraceSources sources;
      broadcast(all, table, sources);
      try {
        hand = prepare(std::move(table), std::move(sources));
        failure.clear();
      } catch (const std::exception& error) {
        failure = error.what();
      }
      continue;
    }
    all.report(failure.empty() ? simulate_share(all, hand, command.range, counters) : failure);
    if (all.hear()) all.add_up();
  }
}

}  // namespace moecarlo
