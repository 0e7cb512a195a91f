#include "host/support/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace moecarlo {
namespace {

using namespace std::chrono_literals;

constexpr int bar_columns = 40;

// A job shorter than this shows nothing in a pipe; on a terminal the bar comes soon and moves smoothly.
Progress::Clock::duration interval(ProgressStyle style) {
  return style == ProgressStyle::bar ? 200ms : 10s;
}

}  // namespace

ProgressStyle progress_style(bool quiet) {
  if (quiet) return ProgressStyle::silent;
  return isatty(STDERR_FILENO) != 0 ? ProgressStyle::bar : ProgressStyle::lines;
}

Progress::Progress(std::string label, std::uint64_t total, ProgressStyle style, std::FILE* out, Clock::time_point start)
    : label_(std::move(label)),
      total_(std::max<std::uint64_t>(total, 1)),
      style_(style),
      out_(out),
      next_(start + interval(style)) {}

Progress::~Progress() {
  if (style_ == ProgressStyle::bar && drawn_) std::fputc('\n', out_);
}

void Progress::update(std::uint64_t done, Clock::time_point now) {
  if (style_ == ProgressStyle::silent) return;
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return;  // another thread is drawing; the next update shows this one too
  const bool last = done >= total_;
  if (now < next_ && !(last && drawn_)) return;
  next_ = now + interval(style_);
  drawn_ = true;

  const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total_));
  std::string line;
  if (style_ == ProgressStyle::bar) {
    const auto filled = static_cast<std::size_t>(share * bar_columns);
    line = fmt::format("\r{} [{:<{}}] {:3.0f} %", label_, std::string(filled, '#'), bar_columns, 100 * share);
  } else {
    line = fmt::format("{}: {} of {} ({:.0f} %)\n", label_, done, total_, 100 * share);
  }
  std::fputs(line.c_str(), out_);
  std::fflush(out_);
}

}  // namespace moecarlo
