#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <hdf5.h>
#include <sys/resource.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <iostream>
#include <new>

#include "cuda/device_backend.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/terminal.hpp"
#include "host/cluster/communicator.hpp"
#include "host/pipeline/study_run.hpp"
#include "host/pipeline/version.hpp"
#include "host/simulate/cpu_code.hpp"
#include "host/support/error.hpp"
#include "host/support/hdf5.hpp"
#include "host/support/printable.hpp"
#include "hw/presets/preset.hpp"

namespace moecarlo::cli {

std::span<const ExitStatus> exit_statuses() {
  static constexpr ExitStatus statuses[] = {
      {0, "done"},
      {2, "wrong usage or study"},
      {3, "an input file is refused"},
      {4, "the machine failed us: disk, memory or GPU"},
      {75, "stopped by a signal or a time limit after a checkpoint; the same command with --resume goes on"},
  };
  return statuses;
}

namespace {

std::string version_text() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  std::string why_not;
  const std::string device =
      !usable_devices(why_not).empty() ? "cuda" : fmt::format("cuda not available ({})", why_not);
  return fmt::format("{}\nbackends: cpu ({}), {}; MPI {}\nHDF5 {}.{}.{}, fmt {}, CLI11 {}", program_version(),
                     to_string(best_instruction_set()), device,
                     Communicator::is_possible() ? "available" : "not built in", major, minor, release, FMT_VERSION,
                     CLI11_VERSION);
}

void print_effort(std::chrono::steady_clock::time_point begin) {
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  std::vector<std::string> folders;
  for (const auto& folder : hw::preset_folders()) folders.push_back(folder.string());
  remark("moecarlo: {}, cpu ({}); presets in {}\n", program_version(), to_string(best_instruction_set()),
         fmt::join(folders, ", "));
  remark("moecarlo: {:.3f} s, {:.3f} s of processor time, {:.1f} MB of memory at most\n", wall.count(),
         seconds(used.ru_utime) + seconds(used.ru_stime), static_cast<double>(used.ru_maxrss) / 1e3);
}

int run(int argc, char** argv) {
  const auto begin = std::chrono::steady_clock::now();
  CLI::App app("Monte Carlo workload characterizer for speculative decoding on Mixture-of-Experts models");
  app.footer("Example: moecarlo simulate study.toml -o results\nEach subcommand has --help with an example.");
  app.set_version_flag("--version", version_text);
  app.require_subcommand(1);
  app.fallthrough();
  Common common;
  app.add_flag("--quiet", common.quiet, "No progress and no notes");
  bool verbose = false;
  app.add_flag("--verbose", verbose,
               "When done, also the program's build, where its presets are, time and memory taken");
  add_init(app, common);
  add_inspect(app, common);
  add_locality(app, common);
  add_cache(app, common);
  add_synth(app, common);
  add_simulate(app, common);
  add_merge(app, common);
  add_model(app, common);
  add_systems(app, common);
  add_evaluate(app, common);
  add_calibrate(app, common);
  add_compare(app, common);
  add_size(app, common);
  add_parallel(app, common);
  add_report(app, common);
  add_reproduce(app, common);
  add_bitslice(app, common);
  add_bench(app, common);
  add_completion(app, common);
  add_man(app, common);
  add_describe(app, common);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success))
      return app.exit(error);  // --help, --version
    fail(ErrorKind::usage, "{} (see moecarlo --help)", error.what());
  }
  // A full disk behind a redirection shows only when the last buffer is written.
  if (!std::cout.flush() || std::fflush(stdout) != 0) {
    fail(ErrorKind::machine, "standard output: cannot write ({})", std::strerror(errno));
  }
  if (verbose) print_effort(begin);
  return 0;
}

}  // namespace
}  // namespace moecarlo::cli

namespace {

/// A stream that the caller has closed would be the number of the next file that is opened, and what is said would go
/// into that. Something takes its place that can be neither read from nor written to as the stream would. A stream
/// whose other end is closed is an error like others, and ends no run that is under way.
void hold_streams() {
  for (int stream = 0; stream <= 2; ++stream) {
    if (::fcntl(stream, F_GETFD) == -1) ::open("/dev/null", stream == 0 ? O_WRONLY : O_RDONLY);
  }
  std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace

/// The one place where failures become a line and an exit status.
int main(int argc, char** argv) {
  constexpr std::size_t longest_line = 4000;
  constexpr int interrupted_status = 75;
  const auto report = [](const char* line, int status) {
    std::fflush(stdout);
    std::fprintf(stderr, "moecarlo: %s\n", moecarlo::printable(line, longest_line).c_str());
    return status;
  };
  hold_streams();
  try {
    moecarlo::hdf5::start_reading();
    return moecarlo::cli::run(argc, argv);
  } catch (const moecarlo::Error& error) {
    return report(error.what(), static_cast<int>(error.kind()));
  } catch (const moecarlo::Interrupted& interrupted) {
    return report(interrupted.what(), interrupted_status);
  } catch (const std::bad_alloc&) {
    return report("out of memory", static_cast<int>(moecarlo::ErrorKind::machine));
  } catch (const std::exception& error) {
    return report(error.what(), static_cast<int>(moecarlo::ErrorKind::machine));
  }
}
