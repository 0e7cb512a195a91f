#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>

namespace moecarlo {

/// Thrown where a signal or the time limit ended a run: what it has counted is in a checkpoint.
struct Interrupted : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// How long a run may go on: until `stops` or for so many seconds from now on.
class Patience {
 public:
  /// `stops` is asked from any thread, and may be empty.
  Patience(std::function<bool()> stops, std::optional<double> limit_seconds);

  bool is_over() const;
  const char* what_ended() const;  ///< "a signal" or "the time limit", of one that is over

  /// While a trace is read: throws Interrupted where it is over and not yet read. Nothing is counted by then, and
  /// nothing that was counted before is touched.
  void expect_left_in_reading(std::uint64_t done, std::uint64_t total) const;

 private:
  using Clock = std::chrono::steady_clock;
  bool is_stopped() const { return stops_ && stops_(); }

  std::function<bool()> stops_;
  std::optional<double> limit_seconds_;
  Clock::time_point begin_ = Clock::now();
};

}  // namespace moecarlo
