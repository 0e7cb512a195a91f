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

std::string duration_text(double seconds) {
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  if (seconds < 7200) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
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

/// ", 2 a second, 90 s left", as far as it can be told.
std::string Progress::pace(std::uint64_t done, Clock::time_point now) const {
  if (!first_ || done <= first_->first || now <= first_->second || done >= total_) return {};
  const double seconds = std::chrono::duration<double>(now - first_->second).count();
  const double rate = static_cast<double>(done - first_->first) / seconds;
  return fmt::format(", {:.3g} a second, {} left", rate, duration_text(static_cast<double>(total_ - done) / rate));
}

void Progress::update(std::uint64_t done, Clock::time_point now, const std::string& detail) {
  if (style_ == ProgressStyle::silent) return;
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return;  // another thread is drawing; the next update shows this one too
  const bool last = done >= total_;
  if (!first_) first_.emplace(done, now);
  if (now < next_ && !(last && drawn_)) return;
  next_ = now + interval(style_);
  drawn_ = true;

  const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total_));
  const std::string more = pace(done, now) + (detail.empty() ? "" : ", " + detail);
  std::string line;
  if (style_ == ProgressStyle::bar) {
    const auto filled = static_cast<std::size_t>(share * bar_columns);
    line = fmt::format("{} [{:<{}}] {:3.0f} %{}", label_, std::string(filled, '#'), bar_columns, 100 * share, more);
    const std::size_t columns = line.size();
    if (columns < columns_) line.append(columns_ - columns, ' ');  // over what stood there
    line.insert(line.begin(), '\r');
    columns_ = columns;
  } else {
    line = fmt::format("{}: {} of {} ({:.0f} %){}\n", label_, done, total_, 100 * share, more);
  }
  std::fputs(line.c_str(), out_);
  std::fflush(out_);
}

}  // namespace moecarlo
