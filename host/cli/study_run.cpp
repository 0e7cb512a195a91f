#include "host/cli/study_run.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>

#include "cuda/device_backend.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/trace_facts.hpp"
#include "host/cli/version.hpp"
#include "host/report/summary.hpp"
#include "host/report/write_report.hpp"
#include "host/simulate/cpu_backend.hpp"
#include "host/simulate/run.hpp"
#include "host/statistics/metrics.hpp"
#include "host/study/grid.hpp"
#include "host/study/parse_study.hpp"
#include "host/support/atomic_file.hpp"
#include "host/support/error.hpp"
#include "host/support/memory_limit.hpp"
#include "host/support/parallel.hpp"
#include "host/support/progress.hpp"
#include "host/trace/routing_table_builder.hpp"
#include "hw/study_projection.hpp"

namespace moecarlo::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double kCheckpointSeconds = 300;

volatile std::sig_atomic_t signal_seen = 0;
void remember_signal(int number) {
  signal_seen = number;
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::filesystem::path tallies_path(const std::filesystem::path& directory) {
  return directory / "tallies.h5";
}

void prepare_directory(const StudyRun& run) {
  std::error_code error;
  std::filesystem::create_directories(run.directory, error);
  if (error || !std::filesystem::is_directory(run.directory)) {
    fail(ErrorKind::machine, "{}: the output folder cannot be made ({})", run.directory.string(),
         error ? error.message() : "a file of that name is in the way");
  }
  if (!run.resume && std::filesystem::exists(tallies_path(run.directory))) {
    fail(ErrorKind::usage, "{}: the folder holds tallies already (expected an empty one, or --resume)",
         run.directory.string());
  }
  TemporaryFile probe(tallies_path(run.directory));  // an unwritable folder is known before any work is done
}

RoutingTable load_table(const StudyRun& run) {
  std::optional<Progress> bar;
  TableOptions options;
  options.calibration_share = run.study.calibration;
  options.split_seed = run.study.split_seed;
  options.threads = run.study.run.threads;
  options.progress = [&](std::uint64_t done, std::uint64_t total) {
    if (!bar) bar.emplace("reading trace", std::max<std::uint64_t>(1, total), progress_style(run.quiet));
    bar->update(done);
  };
  return build_routing_table(run.study.trace, options);
}

std::optional<hw::StudyProjection> make_projection(const Study& study, std::uint32_t layers, std::uint32_t experts,
                                                   std::uint32_t top_k) {
  if (!study.hardware) return std::nullopt;
  return hw::StudyProjection(*study.hardware, study.grid, layers, experts, top_k);
}

void check_memory(const Plan& plan, const StudyRun& run, bool cpu) {
  const std::uint64_t bytes = plan.layout.size * sizeof(std::uint64_t);
  const std::uint64_t copies = cpu ? thread_count(run.study.run.threads) : 2;
  if (!run.quiet) {
    fmt::print(stderr, "{} design points in {} cells, tallies of {:.1f} MiB a thread\n",
               plan.shape.policies.size() * plan.layout.capacities.size(), plan.layout.cells.size(),
               static_cast<double>(bytes) / 1048576.0);
  }
  if (bytes * copies > available_memory_bytes()) {
    fail(ErrorKind::machine,
         "study: the tallies do not fit into memory (expected at most {} bytes, found {} bytes on each of {} threads)",
         available_memory_bytes(), bytes, copies);
  }
}

Tallies load_checkpoint(const StudyRun& run, const Plan& plan, const Provenance& expected, Provenance& stored) {
  const std::filesystem::path file = tallies_path(run.directory);
  if (!run.resume || !std::filesystem::exists(file)) return Tallies(plan.shape);
  Tallies tallies = read_tallies(file, stored);
  if (stored.study_toml != expected.study_toml || stored.trace_json != expected.trace_json ||
      tallies.layout.size != plan.layout.size) {
    fail(ErrorKind::usage,
         "{}: the folder holds the tallies of another study (expected an equal study and trace for --resume)",
         run.directory.string());
  }
  return tallies;
}

std::vector<std::string> ignored_settings(const Study& study) {
  std::vector<std::string> notes;
  if (study.mode == Mode::exhaustive) {
    notes.emplace_back(
        "Exhaustive mode enumerates every start: trajectories, rounds, start and warmup have no effect.");
  } else if (is_stateless(study)) {
    notes.emplace_back(
        "All policies are stateless: every round draws fresh starts, so that start and warmup have no effect.");
  }
  return notes;
}

/// Stateless studies draw the requests of all batches and depths together: a batch may never fit a depth that few sequences
/// are long enough for.
std::vector<std::string> uncounted_cells(const Tallies& tallies) {
  std::vector<std::string> notes;
  for (const Cell& cell : tallies.layout.cells) {
    const auto first = tallies.counters.begin() + static_cast<std::ptrdiff_t>(cell.rounds);
    if (std::any_of(first, first + tallies.shape.groups.groups, [](std::uint64_t rounds) { return rounds > 0; })) continue;
    notes.push_back(fmt::format("No figures at batch {}, depth {}: no round had {} sequences long enough for that depth.",
                                cell.batch, cell.depth, cell.batch));
  }
  return notes;
}

StudyResults assemble(const Tallies& tallies, const Study& study, const TraceFacts& facts,
                      const std::optional<hw::StudyProjection>& projection) {
  StudyResults results;
  results.name = study.name;
  results.trace_model = facts.model;
  results.trace_path = facts.path;
  results.trace_source = facts.source;
  results.tokens = facts.tokens;
  results.layers = facts.layers;
  results.experts = facts.experts;
  results.top_k = facts.top_k;
  results.sequences = facts.sequences;
  results.calibration_sequences = facts.calibration_sequences;
  results.evaluation_sequences = facts.evaluation_sequences;
  results.study_json = to_json(study);
  results.trajectories = tallies.trajectories;
  results.replicate_trajectories = tallies.replicate_trajectories;
  results.seed = study.seed;
  results.version = program_version();
  results.notes = facts.notes;
  for (const auto& notes : {ignored_settings(study), uncounted_cells(tallies)}) {
    results.notes.insert(results.notes.end(), notes.begin(), notes.end());
  }
  const MetricReader reader(tallies);
  results.points = point_results(reader, tallies, study);
  results.differences = policy_differences(reader, tallies, study);
  for (std::size_t cell = 0; cell < tallies.shape.cells.size(); ++cell) {
    results.distributions.push_back(reader.distribution(cell));
  }
  if (projection) projection->project(tallies, results);
  if (tallies.shape.walk != Walk::enumerate && tallies.trajectories < tallies.shape.groups.groups) {
    results.notes.push_back(fmt::format("No simulation interval: {} trajectories, at least {} are needed.",
                                        tallies.trajectories, tallies.shape.groups.groups));
  }
  if (study.mode != Mode::exhaustive && tallies.shape.groups.replicates > 0) {
    results.notes.emplace_back(
        "Where a trace interval is missing, simulation noise is more than half of the spread between replicates: more "
        "trajectories would show it.");
  }
  return results;
}

}  // namespace

std::unique_ptr<Backend> make_backend(const std::string& name, const RoutingView& routing, const Plan& plan,
                                      unsigned threads, int device) {
  std::string why_not;
  if (name == "cuda" || (name == "auto" && device_available(why_not))) {
    return make_device_backend(routing, plan, device);
  }
  return make_cpu_backend(routing, plan, threads);
}

bool run_study(const StudyRun& run) {
  const Study& study = run.study;
  const Clock::time_point start = Clock::now();
  for (const std::string& metric : study.stop ? study.stop->metrics : std::vector<std::string>{}) {
    if (MetricReader::is_metric(metric)) continue;
    fail(ErrorKind::usage, "study: stop.metrics has an unknown metric (expected some of: {}; found {})",
         fmt::join(MetricReader::names(1), ", "), metric);
  }
  prepare_directory(run);
  const RoutingTable table = load_table(run);
  const auto projection = make_projection(study, table.layers, table.experts, table.top_k);
  const Grid grid = make_grid(study, projection ? projection->implied_capacities() : std::vector<ImpliedCapacity>{});
  const Plan plan = make_plan(study, grid, table);
  const auto backend = make_backend(study.run.backend, table.view(), plan, study.run.threads, run.device);
  check_memory(plan, run, backend->name() == "cpu");

  const TraceFacts facts = trace_facts(table, plan.notes);
  Provenance provenance{to_toml(study), to_json(facts), program_version(), false};
  Provenance stored;
  Tallies tallies = load_checkpoint(run, plan, provenance, stored);
  if (stored.finished && std::filesystem::exists(run.directory / "summary.json")) return false;

  const auto save = [&] { write_tallies(tallies_path(run.directory), tallies, provenance); };
  signal_seen = 0;
  std::signal(SIGINT, remember_signal);
  std::signal(SIGTERM, remember_signal);
  Clock::time_point saved = Clock::now();
  RunOptions options;
  options.trajectories = plan.walk == Walk::enumerate ? plan.enumerated() : study.trajectories;
  Progress progress("simulating", options.trajectories, progress_style(run.quiet));
  options.progress = [&](std::uint64_t done) {
    progress.update(done);
    if (seconds_since(saved) > kCheckpointSeconds) {
      save();
      saved = Clock::now();
    }
  };
  options.interrupted = [&] {
    const auto limit = study.run.time_limit_seconds;
    return signal_seen != 0 || (limit && seconds_since(start) > *limit);
  };
  if (study.stop) options.satisfied = [&](const Tallies& now) { return is_satisfied(*study.stop, now, study); };
  const Clock::time_point simulation = Clock::now();
  // Finished tallies without a summary: the run was killed while it wrote the report.
  const RunEnd end = stored.finished ? RunEnd::finished : moecarlo::run(*backend, options, tallies);
  const double seconds = seconds_since(simulation);
  provenance.finished = end == RunEnd::finished;
  save();
  if (end == RunEnd::interrupted) {
    throw Interrupted(
        fmt::format("stopped by {} after {} of {} trajectories; the checkpoint is in {}, go on with --resume",
                    signal_seen != 0 ? "a signal" : "the time limit", tallies.trajectories, options.trajectories,
                    run.directory.string()));
  }
  StudyResults results = assemble(tallies, study, facts, projection);
  results.backend = backend->name();
  results.seconds = seconds;
  write_report(results, run.directory);
  return true;
}

StudyResults results_from_tallies(const std::filesystem::path& directory, const std::vector<std::string>& systems) {
  Provenance provenance;
  const std::string file = tallies_path(directory).string();
  const Tallies tallies = read_tallies(file, provenance);
  if (!provenance.finished) {
    fail(ErrorKind::input, "{}: the study is not finished (expected a finished one; go on with simulate --resume)",
         file);
  }
  Study study = parse_study(provenance.study_toml, file, {});
  if (!systems.empty()) {
    if (!study.hardware) fail(ErrorKind::usage, "{}: the study names no hardware.model", file);
    study.hardware->systems = systems;
  }
  const TraceFacts facts = parse_trace_facts(provenance.trace_json, file);
  const auto projection = make_projection(study, tallies.shape.layers, tallies.shape.experts, tallies.shape.top_k);
  StudyResults results = assemble(tallies, study, facts, projection);
  const StudyResults before = read_summary(directory / "summary.json");
  results.backend = before.backend;
  results.seconds = before.seconds;
  return results;
}

}  // namespace moecarlo::cli
