#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "host/cli/commands.hpp"
#include "host/cli/job.hpp"
#include "host/cli/output.hpp"
#include "host/cli/terminal.hpp"
#include "host/parallel/loads_file.hpp"
#include "host/pipeline/merge_shards.hpp"
#include "host/pipeline/output_folder.hpp"
#include "host/pipeline/parallel_report.hpp"
#include "host/pipeline/patience.hpp"
#include "host/pipeline/size.hpp"
#include "host/study/parse_study.hpp"
#include "host/support/error.hpp"
#include "host/support/progress.hpp"
#include "host/trace/routing_table_builder.hpp"
#include "hw/model/model.hpp"

namespace moecarlo::cli {
namespace {

constexpr std::uint64_t kMostBatches = 4096, kFewestBatches = 128;
constexpr double kChoices = 2e9;  ///< that are drawn where nobody says how many batches

struct ParallelArguments {
  ParallelQuestion question;
  BatchDraws draws;
  std::uint64_t batches = 0;  ///< 0: as many as are quickly drawn
  TableOptions table;
  std::string trace, study, loads, balancer = "none", llep = "paper", lambda_on, rule = "nearest", memory, model;
  std::string hardware, overlap = "none", phase = "decode";
  std::uint32_t chunk = 0;
  std::string shard, time_limit;
  double rank_timeout = 600;
  RunSpec backend;
  Output output;
  bool json = false, everywhere = false, resume = false;
};

void print(const ParallelAnswer& answer, const ParallelQuestion& question, const std::string& of_what) {
  say("{}; placement {}, balancer {}{}\n\n", of_what, question.placement, to_string(question.balancer),
      question.topology.empty() ? "" : fmt::format(", topology {}", question.topology));
  say("{:>7} {:>23} {:>6} {:>9} {:>9} {:>7} {:>8} {:>10} {:>13}{}\n", "devices", "device max/mean", "p99", "transfers",
      "spilled", "forced", "replicas", "migrations", "busiest link",
      question.machine
          ? fmt::format(" {:>23} {:>23} {:>23} {:>23}", "experts us", "links us", "layer us", "tokens/s/device")
          : "");
  for (const ParallelPoint& point : answer.points) {
    double busiest = 0;
    for (const LinkLoad& load : point.link_loads) {
      busiest = std::max(busiest, load.dispatch + load.combine + load.all_reduce);
    }
    say("{:>7} {:>23} {:>6.4g} {:>9.4g} {:>9.4g} {:>7.4g} {:>8.4g} {:>10.4g} {:>13}", point.devices,
        with_errors(point.device_max_over_mean.mean), point.device_max_over_mean.p99, point.transfers.value,
        point.spilled.value, point.forced.value, point.replicas.value, point.migrations.value,
        point.hop_bytes ? fmt::format("{:.4g} B", busiest) : "no --hidden");
    if (point.seconds) {
      for (const auto& [estimate, unit] : {std::pair{point.expert_seconds, 1e6},
                                           {point.busiest_link_seconds, 1e6},
                                           {point.seconds, 1e6},
                                           {point.tokens_per_second_per_device, 1.0}}) {
        say(" {:>23}",
            with_errors({unit * estimate->value, estimate->mc_half_width * unit, estimate->trace_half_width * unit}));
      }
    }
    say("\n");
  }
  say("\n");
  for (const std::string& line : parallel_answer(answer, question)) say("{}\n", line);
}

void take_words(ParallelArguments& arguments) {
  ParallelQuestion& question = arguments.question;
  const std::pair<const char*, Balancer> balancers[] = {
      {"none", Balancer::none}, {"llep", Balancer::llep}, {"eplb", Balancer::eplb}, {"ni", Balancer::ni}};
  for (const auto& [name, balancer] : balancers) {
    if (arguments.balancer == name) question.balancer = balancer;
  }
  question.llep.as_coded = arguments.llep == "code";
  question.llep.on_devices = arguments.lambda_on.empty() ? question.llep.as_coded : arguments.lambda_on == "device";
  question.copies.rule = arguments.rule == "nearest" ? CopyRule::nearest : CopyRule::least_loaded;
  if (arguments.everywhere) question.source = hw::TokenSource::all;
  if (!arguments.memory.empty()) question.memory_bytes = parse_bytes(arguments.memory);
  if (!arguments.hardware.empty()) question.machine = hw::read_system(arguments.hardware);
  if (arguments.overlap == "halves") question.overlap = hw::Overlap::halves;
}

void take_model(ParallelArguments& arguments) {
  ParallelQuestion& question = arguments.question;
  if (arguments.model.empty()) {
    if (question.memory_bytes) fail(ErrorKind::usage, "--memory needs --model, which says how large an expert is");
    return;
  }
  question.model = hw::read_model(arguments.model);
  if (!question.top_k) question.top_k = question.model->top_k;
  if (!question.hidden) question.hidden = question.model->hidden;
}

/// The draft shape, acceptance, split, seed and stop of a study.
void take_study(ParallelArguments& arguments) {
  if (arguments.study.empty()) return;
  const Study study = read_study(arguments.study);
  if (study.grid.depth.size() != 1 || study.draft.width > 1) {
    fail(ErrorKind::usage, "{}: {} depths, width {} (expected one chain)", arguments.study, study.grid.depth.size(),
         study.draft.width);
  }
  arguments.draws.columns = study.grid.depth[0] + 1;
  arguments.draws.acceptance = study.acceptance;
  arguments.draws.seed = study.seed;
  arguments.table.calibration_share = study.calibration;
  arguments.table.split_seed = study.split_seed;
  if (study.stop) arguments.draws.relative_half_width = study.stop->relative_half_width;
}

/// How many series are drawn of how many batches. Balancers that move experts see their window and a turn first, and
/// are counted for some turns.
void take_series(ParallelArguments& arguments, const RoutingTable& table) {
  constexpr std::uint32_t kTurns = 4;
  const ParallelQuestion& question = arguments.question;
  BatchDraws& draws = arguments.draws;
  if (question.balancer == Balancer::eplb || question.balancer == Balancer::ni) {
    draws.uncounted = question.times.window + question.times.every;
    draws.counted = kTurns * question.times.every;
  }
  const double choices = static_cast<double>(draws.tokens) * table.layers * table.top_k;
  const double all = choices * (draws.uncounted + draws.counted);
  const auto quick = static_cast<std::uint64_t>(std::min(kChoices / all, static_cast<double>(kMostBatches)));
  const std::uint64_t asked = (arguments.batches + draws.counted - 1) / draws.counted;
  draws.series = asked > 0 ? asked : std::max(quick, kFewestBatches);
}

/// Of a shard its own.
std::filesystem::path folder_of(const ParallelArguments& arguments) {
  return shard_path(arguments.output.path, chosen_shard(arguments.shard));
}

/// What is drawn, of a table of a trace's decode tokens or its prompts.
void take_draws(ParallelArguments& arguments, const RoutingTable& table) {
  if (arguments.phase == "prefill") {
    if (arguments.draws.columns > 1)
      fail(ErrorKind::usage, "--phase prefill verifies no drafts (expected no --study with a depth)");
    arguments.draws.columns = arguments.chunk;
    arguments.draws.chunks = true;
  }
  take_series(arguments, table);
}

/// Draws the share of a process other than the first.
void assist_draw(ParallelArguments arguments, Communicator& all) {
  ignore_signals();  // the leader hears them, and says when to stop
  const auto task = [&](const RoutingTable& table) {
    take_words(arguments);
    take_model(arguments);
    take_study(arguments);
    take_draws(arguments, table);
    return ParallelTask{arguments.question, arguments.draws, arguments.backend};
  };
  assist_batches(task, all);
}

ParallelAnswer draw(ParallelArguments& arguments, const Common& common, Crew* crew, std::string& of_what) {
  const Patience patience(signal_seen, chosen_limit(arguments.time_limit));
  take_study(arguments);
  BatchDraws& draws = arguments.draws;
  arguments.table.threads = draws.threads;
  arguments.table.progress = [&](std::uint64_t done, std::uint64_t total) {
    patience.expect_left_in_reading(done, total);
  };
  RoutingTable table = build_routing_table(arguments.trace, arguments.table);
  if (arguments.phase == "prefill") table = build_prefill_table(table, arguments.table);
  take_draws(arguments, table);
  Progress progress("drawing batches", draws.series, progress_style(common.quiet));
  draws.progress = [&](std::uint64_t done) { progress.update(done); };
  ParallelRun job{folder_of(arguments), chosen_shard(arguments.shard), arguments.resume};
  job.backend = arguments.backend;
  job.stops = [&] { return patience.is_over(); };
  if (!common.quiet) job.remark = [](const std::string& line) { remark("{}\n", line); };
  job.crew = crew;
  const std::uint32_t layers = table.layers;
  ParallelAnswer answer = spread_batches(std::move(table), arguments.question, draws, job);
  of_what = fmt::format("{}: {} batches of {} tokens, {} layers; means over layers and batches, ± simulation ± trace",
                        arguments.trace, answer.batches, draws.tokens, layers);
  return answer;
}

void run(ParallelArguments arguments, const Common& common) {
  if ((arguments.phase == "prefill") != (arguments.chunk > 0)) {
    fail(ErrorKind::usage, "parallel: --phase prefill and --chunk go together");
  }
  if (arguments.trace.empty() == arguments.loads.empty()) {
    fail(ErrorKind::usage, "parallel: {} (expected one of TRACE and --loads)",
         arguments.trace.empty() ? "no loads" : "a trace and --loads");
  }
  if (arguments.trace.empty()) expect_alone(arguments.shard);
  Communicator* const all = join_job(arguments.shard);
  if (all != nullptr && !all->leads()) return assist_draw(std::move(arguments), *all);
  std::optional<Crew> crew;
  if (all != nullptr) crew.emplace(*all, arguments.rank_timeout);
  take_words(arguments);
  take_model(arguments);
  if (arguments.loads.empty()) watch_signals();
  std::optional<OutputFolder> folder;
  const bool in_part = !arguments.shard.empty();
  if ((in_part || arguments.resume) && (!arguments.output.is_asked() || arguments.trace.empty())) {
    fail(ErrorKind::usage, "parallel: --shard and --resume keep batches of a trace (expected TRACE and -o)");
  }
  if (arguments.output.is_asked()) folder.emplace(folder_of(arguments), arguments.output.force || arguments.resume);
  ParallelAnswer answer;
  std::string of_what;
  if (arguments.loads.empty()) {
    answer = draw(arguments, common, crew ? &*crew : nullptr, of_what);
  } else {
    const std::vector<ExpertLoads> layers = read_loads(arguments.loads);
    answer.points = spread_loads(layers, arguments.question);
    of_what = fmt::format("{}: layers {}; means over them", arguments.loads, layers.size());
  }
  if (in_part) {
    if (!common.quiet) {
      remark(
          "shard: {}; with all of them: moecarlo merge {}/shard-*-of-* -o DIR, then this command with -o DIR --resume "
          "and without --shard\n",
          folder_of(arguments).string(), arguments.output.path);
    }
    return;
  }
  if (folder) write_parallel_report(answer, arguments.question, of_what, arguments.output.path);
  if (arguments.json) {
    say_json(parallel_json(answer, arguments.question));
  } else {
    print(answer, arguments.question, of_what);
  }
  if (folder && !common.quiet) remark("report: {}/report.html\n", arguments.output.path);
}

void add_draws(CLI::App& command, ParallelArguments& arguments) {
  command.add_option("TRACE", arguments.trace, "Trace file (HDF5), from which batches are drawn");
  command.add_option("--loads", arguments.loads, "In place of a trace: CSV, a row of tokens per expert for each layer");
  command.add_option("--tokens", arguments.draws.tokens, "Tokens of a batch, all devices together")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 30))
      ->capture_default_str();
  command.add_option("--study", arguments.study,
                     "Study whose depth, acceptance, split, seed and stop are taken: batches verify drafts");
  command.add_option("--phase", arguments.phase, "Tokens of a trace: decode, or whole chunks of its prompts")
      ->check(CLI::IsMember({"decode", "prefill"}))
      ->capture_default_str();
  command.add_option("--chunk", arguments.chunk, "Tokens of a chunk of prefill")->check(CLI::Range(1, 1 << 20));
  command.add_option("--batches", arguments.batches, "Batches to draw (default: 4096, fewer of large ones)")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40));
  command.add_option("--seed", arguments.draws.seed, "Seed of the draws")->capture_default_str();
  command.add_option("--threads", arguments.draws.threads, "Threads, 0 = all cores")->capture_default_str();
  command
      .add_option("--backend", arguments.backend.backend,
                  "What draws batches: auto (a GPU where there is one), cpu or cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  command
      .add_option("--device", arguments.backend.device, "GPU number; default: 0, or the local rank under Slurm and MPI")
      ->check(CLI::Range(0, 1023));
  command.add_option("--devices", arguments.question.devices, "Devices, a point each (default: those of the topology)")
      ->delimiter(',')
      ->check(CLI::Range(1, 65536));
}

void add_balancers(CLI::App& command, ParallelArguments& arguments) {
  ParallelQuestion& question = arguments.question;
  command
      .add_option("--placement", question.placement,
                  "contiguous, popularity, replicated:SLOTS[:global|hierarchical], or a file [layer,]expert,device")
      ->capture_default_str();
  command
      .add_option("--groups", question.groups,
                  "Groups of neighbouring experts that a hierarchical placement keeps together")
      ->check(CLI::Range(1, 65536));
  command.add_option("--balancer", arguments.balancer, "What moves work or experts")
      ->check(CLI::IsMember({"none", "llep", "eplb", "ni"}))
      ->capture_default_str();
  command.add_option("--llep", arguments.llep, "LLEP as in its paper or its authors' code")
      ->check(CLI::IsMember({"paper", "code"}))
      ->capture_default_str();
  command.add_option("--alpha", question.llep.alpha, "LLEP: cap of a device, of the mean load")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  command.add_option("--min-chunk", question.llep.min_chunk, "LLEP: least tokens that are moved")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_option("--lambda", question.llep.lambda, "LLEP: max over mean from which it acts")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      .add_option("--lambda-on", arguments.lambda_on,
                  "LLEP: max over mean of these (default: paper expert, code device)")
      ->check(CLI::IsMember({"expert", "device"}));
  command.add_option("--slots", question.slots, "EPLB: slots of all devices; NI: free slots of each device")
      ->check(CLI::Range(1, 1 << 24));
  command
      .add_option("--every", question.times.every, "EPLB, NI on a trace: batches from one move of experts to the next")
      ->check(CLI::Range(1, 1 << 14))
      ->capture_default_str();
  command
      .add_option("--window", question.times.window, "EPLB, NI on a trace: last batches, by whose loads experts move")
      ->check(CLI::Range(1, 1 << 14))
      ->capture_default_str();
  command.add_option("--ni-rule", arguments.rule, "NI: which device takes a copy")
      ->check(CLI::IsMember({"nearest", "least-loaded"}))
      ->capture_default_str();
  command
      .add_option("--ni-alpha", question.copies.alpha,
                  "NI: goes on while the largest load exceeds so many times the mean")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

void add_links(CLI::App& command, ParallelArguments& arguments) {
  ParallelQuestion& question = arguments.question;
  command.add_option("--topology", question.topology,
                     "switch, mesh:COLUMNSxROWS, wafers:NxCOLUMNSxROWS or nodes:NxDEVICES (default: the machine's, or "
                     "switch)");
  command
      .add_option("--mapping", question.mapping,
                  "Groups of --tp devices: row, block, entwined, hierarchical, or a file device,group,rank")
      ->capture_default_str();
  command.add_option("--tp", question.tensor_parallel, "Devices that share a token's attention")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  command.add_flag("--no-domains", arguments.everywhere,
                   "Tokens come from every device of a group, not from that of the token domain");
  command.add_option("--top-k", question.top_k, "Experts of a token, of --loads")->check(CLI::PositiveNumber);
  command.add_option("--hidden", question.hidden, "Values of an activation")->check(CLI::PositiveNumber);
  command.add_option("--bytes", question.value_bytes, "Bytes of one of them")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--model", arguments.model,
                     "Preset or config.json, for --top-k, --hidden, the memory of experts and the time of layers");
  command.add_option("--memory", arguments.memory, "Memory of a device that is counted against, e.g. 80GB");
  command.add_option("--hardware", arguments.hardware,
                     "Preset of the machine whose devices they are, for the time of a layer");
  command
      .add_option("--overlap", arguments.overlap,
                  "Links and experts: one after the other, or two halves of the batch in turn")
      ->check(CLI::IsMember({"none", "halves"}))
      ->capture_default_str();
  command.add_option("--context", question.context, "Cached positions of a request, for the time of attention")
      ->check(CLI::Range(1, 1 << 24))
      ->capture_default_str();
}

}  // namespace

void add_parallel(CLI::App& app, const Common& common) {
  CLI::App* command = app.add_subcommand("parallel", "Experts over many devices: load, balancers, bytes over links");
  const auto arguments = std::make_shared<ParallelArguments>();
  add_draws(*command, *arguments);
  add_balancers(*command, *arguments);
  add_links(*command, *arguments);
  add_output(*command, arguments->output, "Folder for a report with figures, and all figures as JSON");
  command->add_option("--shard", arguments->shard,
                      "Draw the i-th of n parts alone: i/n, or rank in a job of several processes");
  command->add_option("--time-limit", arguments->time_limit,
                      "Stop with a checkpoint and exit status 75, e.g. 20m or 3h");
  add_rank_timeout(*command, arguments->rank_timeout);
  command->add_flag("--resume", arguments->resume, "Go on with the batches in the folder of -o");
  command->add_flag("--json", arguments->json, "JSON on stdout and nothing else");
  command->footer(
      "Example:\n"
      "  moecarlo parallel trace.h5 --devices 4,8 --tokens 256 --balancer llep --min-chunk 8\n\n"
      "Of given loads the answer is exact. Bytes of a link are those of dispatch; combine and all-reduce are beside "
      "them.\n"
      "LLEP: arXiv 2601.17111. EPLB: DeepSeek. Meshes and NI: MoEntwine, arXiv 2510.25258.");
  command->callback([arguments, &common] { run(*arguments, common); });
}

}  // namespace moecarlo::cli
