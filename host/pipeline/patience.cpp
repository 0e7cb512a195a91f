#include "host/pipeline/patience.hpp"

#include <fmt/format.h>

#include <utility>

namespace moecarlo {

Patience::Patience(std::function<bool()> stops, std::optional<double> limit_seconds)
    : stops_(std::move(stops)), limit_seconds_(limit_seconds) {}

bool Patience::is_over() const {
  const std::chrono::duration<double> taken = Clock::now() - begin_;
  return is_stopped() || (limit_seconds_ && taken.count() > *limit_seconds_);
}

const char* Patience::what_ended() const {
  return is_stopped() ? "a signal" : "the time limit";
}

void Patience::expect_left_in_reading(std::uint64_t done, std::uint64_t total) const {
  if (done >= total || !is_over()) return;
  throw Interrupted(fmt::format(
      "stopped by {} while the trace was read, {:.0f} % of it; nothing new is counted, and --resume reads it "
      "again",
      what_ended(), 100 * static_cast<double>(done) / static_cast<double>(total)));
}

}  // namespace moecarlo
