#include "host/pipeline/study_run.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "cuda/device_ranker.hpp"
#include "cuda/device_resample.hpp"
#include "cuda/device_selector.hpp"
#include "host/pipeline/output_folder.hpp"
#include "host/pipeline/patience.hpp"
#include "host/pipeline/prepared_study.hpp"
#include "host/pipeline/study_results.hpp"
#include "host/pipeline/trace_facts.hpp"
#include "host/pipeline/version.hpp"
#include "host/report/narrative/write_report.hpp"
#include "host/simulate/checkpoint.hpp"
#include "host/simulate/cpu_backend.hpp"
#include "host/simulate/mixed.hpp"
#include "host/simulate/prefill.hpp"
#include "host/simulate/run.hpp"
#include "host/statistics/metrics.hpp"
#include "host/statistics/point_results.hpp"
#include "host/study/acceptance.hpp"
#include "host/study/parse_study.hpp"
#include "host/support/error.hpp"
#include "host/support/memory_limit.hpp"
#include "host/support/parallel.hpp"
#include "host/trace/routing_table_builder.hpp"
#include "hw/study/study_projection.hpp"

namespace moecarlo {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double kJudgementSeconds = 10;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Resample chosen_resample(const RunSpec& run) {
  if (const auto device = chosen_device(run)) {
    return [=](const GroupCounts& groups) { return resample_on_device(groups, *device); };
  }
  return resample_on_host;
}

RoutingTable load_table(const StudyRun& run, const RunEvents& events, const Patience& patience) {
  TableOptions options;
  options.calibration_share = run.study.calibration;
  options.split_seed = run.study.split_seed;
  options.threads = run.study.run.threads;
  options.cache = run.table_cache;
  std::unique_ptr<TableRanker> ranker;
  if (const auto device = chosen_device(run.study.run)) {
    ranker = make_device_ranker(*device);
    options.ranker = ranker.get();
    options.make_selector = [=](const StoredLogits& logits) { return make_device_selector(logits, *device); };
  }
  options.progress = [&](std::uint64_t done, std::uint64_t total) {
    if (events.progress) events.progress("reading trace", done, std::max<std::uint64_t>(1, total), "");
    patience.expect_left_in_reading(done, total);
  };
  return build_routing_table(run.study.trace, options);
}

/// What the study asks of its trace beside the routing; the table becomes one of slices where it caches those.
TraceSources read_sources(const Study& study, RoutingTable& table) {
  const auto projection = make_projection(study, table.layers, table.experts, table.top_k);
  TraceSources sources = load_sources(study, table, projection && projection->drafts_from_residents());
  if (study.cache.objects == Objects::slices) table = with_slices(std::move(table));
  return sources;
}

std::uint64_t count_points(const Plan& plan) {
  std::uint64_t points = 0;
  for (const Cell& cell : plan.layout.cells) points += cell.points();
  return points;
}

/// Before the backend takes its memory: the tallies of each thread, and the CPU's scratch.
void check_memory(const Plan& plan, const RoutingView& routing, const StudyRun& run, const RunEvents& events) {
  const bool cpu = !simulating_device(run.study.run, plan);
  const unsigned threads = thread_count(run.study.run.threads);
  const std::uint64_t bytes = plan.layout.size * sizeof(std::uint64_t);
  const std::uint64_t backend = cpu ? cpu_backend_bytes(routing, plan, threads) : bytes;
  if (events.remark) {
    events.remark(fmt::format("{} design points in {} cells, tallies of {:.1f} MiB", count_points(plan),
                              plan.layout.cells.size(), static_cast<double>(bytes) / 1048576.0));
  }
  expect_memory(kRunCounters * bytes + backend,
                cpu ? fmt::format("study: what {} threads simulate in", threads) : "study: what a GPU has counted");
}

Tallies load_checkpoint(const StudyRun& run, const RunEvents& events, const Plan& plan, const Provenance& expected,
                        Provenance& stored) {
  const std::filesystem::path file = tallies_path(run.directory);
  if (!run.resume || !std::filesystem::exists(file)) {
    Tallies fresh(plan.shape);
    fresh.shard = run.shard;
    return fresh;
  }
  std::vector<JointBins> joints;
  Tallies tallies = read_checkpoint(file, stored, joints, events.remark);
  if (stored.study_toml != expected.study_toml || stored.trace_json != expected.trace_json ||
      tallies.layout.size != plan.layout.size) {
    fail(ErrorKind::usage,
         "{}: the folder holds the tallies of another study (expected an equal study and trace for --resume)",
         run.directory.string());
  }
  if (tallies.shard != run.shard) {
    fail(ErrorKind::usage, "{}: the folder holds shard {} (expected {} for --resume)", run.directory.string(),
         tallies.shard.text(), run.shard.text());
  }
  add_joints(tallies, joints);
  return tallies;
}

void check_stop(const StudyRun& run) {
  const Study& study = run.study;
  if (!study.stop) return;
  if (!run.shard.is_whole()) {
    fail(ErrorKind::usage,
         "--shard: no shard knows what the others have counted (expected a study without [stop], found one)");
  }
  const std::vector<std::string> names = MetricReader::names(study);
  for (const std::string& metric : study.stop->metrics) {
    if (std::find(names.begin(), names.end(), metric) == names.end()) {
      fail(ErrorKind::usage, "study: stop.metrics names no metric of this grid (expected one of: {}; found {})",
           fmt::join(names, ", "), metric);
    }
  }
}

std::shared_ptr<const Prefills> counted_prefills(const PreparedStudy& prepared, const Study& study,
                                                 RoutingTable prompts) {
  TraceSources sources = load_sources(prefill_study(study), prompts, false);
  if (study.cache.objects == Objects::slices) prompts = with_slices(std::move(prompts));
  const auto& projection = prepared.projection;
  const auto implied =
      projection ? projection->prefill_capacities(study.prefill->chunk) : std::vector<ImpliedCapacity>{};
  const Plan plan = plan_prefills(study, implied, prompts, std::move(sources), prepared.plan.shape);
  return std::make_shared<const Prefills>(count_prefills(plan, prompts, study.run.threads));
}

/// Mixed rounds, at the batches and depths of the study.
std::shared_ptr<const Prefills> counted_mixed(const PreparedStudy& prepared, const Study& study,
                                              const RoutingTable& prompts) {
  const RoutingTable& decode = prepared.table;
  const RoutingTable both = with_prompts(decode, prompts);
  const auto decoding = static_cast<std::uint32_t>(decode.sequences.size());
  const Plan plan = plan_mixed(study, prepared.projection->implied_capacities(), both, decoding);
  return std::make_shared<const Prefills>(count_prefills(plan, both, study.run.threads));
}

/// Runs to the end and stores the tallies, on the way too; a stop or the time limit leaves as Interrupted.
void simulate(const StudyRun& run, const RunEvents& events, const Plan& plan, const Patience& patience,
              Backend& backend, Tallies& tallies, Provenance& provenance) {
  const Study& study = run.study;
  const auto save = [&] { write_checkpoint(tallies_path(run.directory), tallies, provenance); };
  CheckpointPace pace;
  RunOptions options;
  options.trajectories = plan.trajectories(study.trajectories);
  const std::uint64_t own = run.shard.part(options.trajectories);
  std::string known;  // how well the worst point is known, by the last count of ten seconds or more ago
  Clock::time_point judged = Clock::now();
  options.progress = [&](std::uint64_t done) {
    if (events.progress && seconds_since(judged) > kJudgementSeconds) {
      const auto worst = worst_half_width(study.stop.value_or(StopSpec{}).metrics, tallies, study);
      known = worst ? fmt::format("worst half-width {:.2g} %", 100 * *worst) : "";
      judged = Clock::now();
    }
    if (events.progress) events.progress("simulating", done, std::max<std::uint64_t>(1, own), known);
    pace.save_when_due(save);
  };
  options.interrupted = [&] { return patience.is_over(); };
  if (study.stop) options.satisfied = [&](const Tallies& now) { return is_satisfied(*study.stop, now, study); };
  const RunEnd end = [&] {
    try {
      return moecarlo::run(backend, options, tallies);
    } catch (const Error&) {  // a device was lost: keep what whole passes have counted
      if (tallies.trajectories > 0) save();
      throw;
    }
  }();
  provenance.finished = end == RunEnd::finished;
  save();
  if (end == RunEnd::interrupted) {
    throw Interrupted(
        fmt::format("stopped by {} after {} of {} trajectories; the checkpoint is in {}, go on with --resume",
                    patience.what_ended(), tallies.trajectories, own, run.directory.string()));
  }
}

}  // namespace

bool run_study(const StudyRun& run, const RunEvents& events) {
  const Patience patience(events.stops, run.study.run.time_limit_seconds);
  const Study& study = run.study;
  check_stop(run);
  if (study.prefetch && study.run.backend == "cuda") {
    fail(ErrorKind::usage, "study: [prefetch] is counted on the CPU (expected backend auto or cpu, found cuda)");
  }
  const OutputFolder folder(run.directory, run.resume || run.force, "an empty one, --resume or --force");
  RoutingTable table = load_table(run, events, patience);
  loss_curve_of(study);  // a file that cannot be read is better refused now
  const bool prefills = study.prefill && run.shard.index == 0;
  std::optional<RoutingTable> prompts;
  if (prefills) prompts = build_prefill_table(table, {.threads = study.run.threads});
  TraceSources sources = read_sources(study, table);
  if (run.crew != nullptr) run.crew->share(table, sources);
  const PreparedStudy prepared(study, std::move(table), std::move(sources));
  const Plan& plan = prepared.plan;
  check_memory(plan, prepared.table.view(), run, events);
  auto backend = make_backend(study.run, prepared.table.view(), plan);
  if (run.crew != nullptr) backend = run.crew->as_backend(std::move(backend));

  const bool captures = rule_of(study.acceptance.model) == Acceptance::by_token;
  const MeanAcceptance captured = captures ? mean_acceptance(*plan.sources.captured) : MeanAcceptance{};
  std::vector<std::string> notes = study.notes;
  notes.insert(notes.end(), plan.notes.begin(), plan.notes.end());
  const TraceFacts facts = trace_facts(prepared.table, !plan.sources.score_order.empty(), captured, notes);
  Provenance provenance{to_toml(study), to_json(facts), program_version(), false};
  Provenance stored;
  Tallies tallies = load_checkpoint(run, events, plan, provenance, stored);
  const bool reports = run.shard.is_whole();
  if (stored.finished && (!reports || std::filesystem::exists(run.directory / "summary.json"))) return false;

  if (prefills && study.prefill->mixed && !tallies.mixed) tallies.mixed = counted_mixed(prepared, study, *prompts);
  if (prefills && !tallies.prefill) tallies.prefill = counted_prefills(prepared, study, std::move(*prompts));
  if (run.force) remove_results(run.directory);
  const Clock::time_point start = Clock::now();
  // Finished tallies without a summary: a run was killed while it wrote the report.
  if (!stored.finished) simulate(run, events, plan, patience, *backend, tallies, provenance);
  if (!reports) return true;
  StudyResults results =
      assemble_results(tallies, joint_bins(tallies), study, facts, prepared.projection, chosen_resample(study.run));
  results.backend = backend->name();
  results.seconds = seconds_since(start);
  write_report(results, run.directory);
  return true;
}

void assist_study(const std::function<Study()>& read, Communicator& all) {
  assist(all, [&](RoutingTable table, TraceSources sources) {
    const Study study = read();
    const auto prepared = std::make_shared<PreparedStudy>(study, std::move(table), std::move(sources));
    std::shared_ptr<Backend> backend = make_backend(study.run, prepared->table.view(), prepared->plan);
    // As long as the backend is there, so is what it points into.
    return Hand{{backend.get(), [prepared, backend](Backend*) {}}, prepared->plan.layout.size};
  });
}

}  // namespace moecarlo
