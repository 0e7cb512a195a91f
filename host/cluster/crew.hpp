#pragma once

#include <functional>
#include <memory>

#include "host/cluster/communicator.hpp"
#include "host/simulate/backend.hpp"
#include "host/simulate/sources.hpp"
#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// The other processes of a job as process 0 uses them: they hold the same trace and plan, simulate their share of each
/// range, and their counters are added up. What is decided, by the stop rule, a signal or a time limit, is decided by
/// process 0, which also has the only checkpoint: so that a job of any size counts the same integers at the same
/// decisions, and goes on from any other's checkpoint.
class Crew {
 public:
  /// `patience`: how long process 0 waits for an answer while all others are silent.
  Crew(Communicator& all, double patience_seconds) : all_(all), patience_seconds_(patience_seconds) {
    all_.wait_at_most(patience_seconds);
  }
  /// Lets the others go.
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  std::uint32_t size() const { return all_.size(); }

  /// Hands out what was read of the trace. Once, before any range.
  void share(RoutingTable& table, TraceSources& sources);

  /// All processes as one backend, of which `own` is this one's part. Its `run` adds to its `room` only, and throws a
  /// machine error that names the process where one fails or is silent for too long.
  std::unique_ptr<Backend> as_backend(std::unique_ptr<Backend> own);

 private:
  Communicator& all_;
  double patience_seconds_;
};

/// What a process needs to take part: a backend of the same plan, and how many counters that has.
struct Hand {
  std::shared_ptr<Backend> backend;
  std::size_t counters = 0;
};

/// A process other than 0: does what the crew's leader says until it is let go. `prepare` makes its hand out of what is
/// shared; what it throws is told to the leader. Signals are the leader's to hear.
void assist(Communicator& all, const std::function<Hand(RoutingTable table, TraceSources sources)>& prepare);

}  // namespace moecarlo
