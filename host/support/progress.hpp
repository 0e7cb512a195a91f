#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace moecarlo {

enum class ProgressStyle {
  silent,
  lines,  ///< a plain line every ten seconds
  bar,    ///< a bar redrawn in place
};

/// The style for stderr: a bar only on a terminal.
ProgressStyle progress_style(bool quiet);

/// How far a long job is, on stderr. `update` may be called from any thread, as often as one likes.
class Progress {
 public:
  using Clock = std::chrono::steady_clock;

  /// `label` says what is being done ("reading trace"); `total` is the number of steps, at least 1.
  Progress(std::string label, std::uint64_t total, ProgressStyle style, std::FILE* out = stderr,
           Clock::time_point start = Clock::now());
  /// Ends the line of a bar.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `detail` follows rate and time left on the line; empty: nothing does.
  void update(std::uint64_t done, Clock::time_point now = Clock::now(), const std::string& detail = {});

 private:
  std::string pace(std::uint64_t done, Clock::time_point now) const;

  std::string label_;
  std::uint64_t total_;
  ProgressStyle style_;
  std::FILE* out_;
  std::mutex mutex_;
  Clock::time_point next_;
  bool drawn_ = false;
  std::optional<std::pair<std::uint64_t, Clock::time_point>> first_;  ///< what was done when; a resumed job begins late
  std::size_t columns_ = 0;                                           ///< of the line drawn last
};

}  // namespace moecarlo
