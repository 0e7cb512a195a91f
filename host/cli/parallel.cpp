#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "host/cli/commands.hpp"
#include "host/cli/terminal.hpp"
#include "host/parallel/loads_file.hpp"
#include "host/pipeline/expert_parallel.hpp"
#include "host/pipeline/size.hpp"
#include "host/study/parse_study.hpp"
#include "host/support/error.hpp"
#include "host/support/progress.hpp"
#include "host/trace/routing_table_builder.hpp"
#include "hw/model/model.hpp"

namespace moecarlo::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kMostBatches = 4096, kFewestBatches = 128;
constexpr double kChoices = 2e9;  ///< that are drawn where nobody says how many batches

struct ParallelArguments {
  ParallelQuestion question;
  BatchDraws draws;
  std::uint64_t batches = 0;  ///< 0: as many as are quickly drawn
  TableOptions table;
  std::string trace, study, loads, balancer = "none", llep = "paper", lambda_on, rule = "nearest", memory, model;
  bool json = false, everywhere = false;
};

Json or_null(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json to_json(const Imbalance& over) {
  return {{"mean", over.mean.value},
          {"p50", over.p50},
          {"p99", over.p99},
          {"mc_half_width", or_null(over.mean.mc_half_width.stated())},
          {"trace_half_width", or_null(over.mean.trace_half_width.stated())}};
}

Json links_of(const ParallelPoint& point) {
  Json links = Json::array();
  for (const LinkLoad& load : point.link_loads) {
    links.push_back({{"from", load.from},
                     {"to", load.to},
                     {"bytes", load.dispatch},
                     {"combine_bytes", load.combine},
                     {"all_reduce_bytes", load.all_reduce}});
  }
  return links;
}

Json to_json(const ParallelPoint& point, const ParallelArguments& arguments) {
  const auto over = [&](const auto& part) {
    return point.over_memory ? or_null(part(*point.over_memory)) : Json(nullptr);
  };
  return {{"devices", point.devices},
          {"placement", arguments.question.placement},
          {"balancer", arguments.balancer},
          {"device_max_over_mean", to_json(point.device_max_over_mean)},
          {"expert_max_over_mean", to_json(point.expert_max_over_mean)},
          {"device_loads", point.device_loads.size() == 1 ? Json(point.device_loads[0]) : Json(point.device_loads)},
          {"transfers", point.transfers.value},
          {"spilled", point.spilled.value},
          {"forced", point.forced.value},
          {"replicas", point.replicas},
          {"migrations", point.migrations},
          {"migration_hops", point.migration_hops},
          {"hop_bytes", or_null(point.hop_bytes)},
          {"link_loads", links_of(point)},
          {"all_reduce_bytes", or_null(point.all_reduce_bytes)},
          {"dispatch_bytes", or_null(point.dispatch_bytes)},
          {"combine_bytes", or_null(point.combine_bytes)},
          {"peak_memory_bytes", or_null(point.peak_memory_bytes)},
          {"over_memory_probability", over([](const Estimate& one) { return std::optional(one.value); })},
          {"over_memory_mc_half_width", over([](const Estimate& one) { return one.mc_half_width.stated(); })},
          {"over_memory_trace_half_width", over([](const Estimate& one) { return one.trace_half_width.stated(); })},
          {"rejected_share", or_null(point.rejected_share)}};
}

std::string with_errors(const Estimate& estimate) {
  if (estimate.mc_half_width.is_exact()) return fmt::format("{:.4g}", estimate.value);
  const auto half = [](const Margin& margin) { return margin.has_value() ? fmt::format("{:.2g}", *margin) : "?"; };
  return fmt::format("{:.4g} ±{} ±{}", estimate.value, half(estimate.mc_half_width), half(estimate.trace_half_width));
}

void print(const ParallelAnswer& answer, const ParallelArguments& arguments, const std::string& of_what) {
  say("{}; placement {}, balancer {}, topology {}\n\n", of_what, arguments.question.placement, arguments.balancer,
      arguments.question.topology);
  say("{:>7} {:>23} {:>6} {:>9} {:>9} {:>7} {:>8} {:>10} {:>13}\n", "devices", "device max/mean", "p99", "transfers",
      "spilled", "forced", "replicas", "migrations", "busiest link");
  for (const ParallelPoint& point : answer.points) {
    double busiest = 0;
    for (const LinkLoad& load : point.link_loads) {
      busiest = std::max(busiest, load.dispatch + load.combine + load.all_reduce);
    }
    say("{:>7} {:>23} {:>6.4g} {:>9.4g} {:>9.4g} {:>7.4g} {:>8.4g} {:>10.4g} {:>13}\n", point.devices,
        with_errors(point.device_max_over_mean.mean), point.device_max_over_mean.p99, point.transfers.value,
        point.spilled.value, point.forced.value, point.replicas, point.migrations,
        point.hop_bytes ? fmt::format("{:.4g} B", busiest) : "no --hidden");
  }
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
}

void take_model(ParallelArguments& arguments) {
  ParallelQuestion& question = arguments.question;
  if (arguments.model.empty()) {
    if (question.memory_bytes) fail(ErrorKind::usage, "--memory needs --model, which says how large an expert is");
    return;
  }
  const hw::Model model = hw::read_model(arguments.model);
  if (!question.top_k) question.top_k = model.top_k;
  if (!question.hidden) question.hidden = model.hidden;
  question.expert_bytes = expert_bytes(model);
  question.expert_width = model.expert.back().inputs;
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

ParallelAnswer draw(ParallelArguments& arguments, const Common& common, std::string& of_what) {
  take_study(arguments);
  BatchDraws& draws = arguments.draws;
  arguments.table.threads = draws.threads;
  const RoutingTable table = build_routing_table(arguments.trace, arguments.table);
  const double choices = static_cast<double>(draws.tokens) * table.layers * table.top_k;
  const auto quick = static_cast<std::uint64_t>(std::min(kChoices / choices, static_cast<double>(kMostBatches)));
  draws.batches = arguments.batches > 0 ? arguments.batches : std::max(quick, kFewestBatches);
  Progress progress("drawing batches", draws.batches, progress_style(common.quiet));
  draws.progress = [&](std::uint64_t done) { progress.update(done); };
  ParallelAnswer answer = spread_batches(table, arguments.question, draws);
  of_what = fmt::format("{}: {} batches of {} tokens, {} layers; means over layers and batches, ± simulation ± trace",
                        arguments.trace, answer.batches, draws.tokens, table.layers);
  return answer;
}

void run(ParallelArguments arguments, const Common& common) {
  if (arguments.trace.empty() == arguments.loads.empty()) {
    fail(ErrorKind::usage, "parallel: {} (expected one of TRACE and --loads)",
         arguments.trace.empty() ? "no loads" : "a trace and --loads");
  }
  take_words(arguments);
  take_model(arguments);
  ParallelAnswer answer;
  std::string of_what;
  if (arguments.loads.empty()) {
    answer = draw(arguments, common, of_what);
  } else {
    const std::vector<ExpertLoads> layers = read_loads(arguments.loads);
    answer.points = spread_loads(layers, arguments.question);
    of_what = fmt::format("{}: layers {}; means over them", arguments.loads, layers.size());
  }
  if (!arguments.json) return print(answer, arguments, of_what);
  Json list = Json::array();
  for (const ParallelPoint& point : answer.points) list.push_back(to_json(point, arguments));
  say_json(Json{{"batches", answer.batches}, {"points", list}});
}

void add_draws(CLI::App& command, ParallelArguments& arguments) {
  command.add_option("TRACE", arguments.trace, "Trace file (HDF5), from which batches are drawn");
  command.add_option("--loads", arguments.loads, "In place of a trace: CSV, a row of tokens per expert for each layer");
  command.add_option("--tokens", arguments.draws.tokens, "Tokens of a batch, all devices together")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 30))
      ->capture_default_str();
  command.add_option("--study", arguments.study,
                     "Study whose depth, acceptance, split, seed and stop are taken: batches verify drafts");
  command.add_option("--batches", arguments.batches, "Batches to draw (default: 4096, fewer of large ones)")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40));
  command.add_option("--seed", arguments.draws.seed, "Seed of the draws")->capture_default_str();
  command.add_option("--threads", arguments.draws.threads, "Threads, 0 = all cores")->capture_default_str();
  command.add_option("--devices", arguments.question.devices, "Devices, a point each (default: those of the topology)")
      ->delimiter(',')
      ->check(CLI::Range(1, 65536));
}

void add_balancers(CLI::App& command, ParallelArguments& arguments) {
  ParallelQuestion& question = arguments.question;
  command
      .add_option("--placement", question.placement, "contiguous, popularity or replicated:SLOTS[:global|hierarchical]")
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
  command
      .add_option("--topology", question.topology,
                  "switch, mesh:COLUMNSxROWS, wafers:NxCOLUMNSxROWS or nodes:NxDEVICES")
      ->capture_default_str();
  command
      .add_option("--mapping", question.mapping,
                  "Groups of --tp devices: row, block, entwined, or a file device,group,rank")
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
                     "Preset or config.json, for --top-k, --hidden and the memory of experts");
  command.add_option("--memory", arguments.memory, "Memory of a device that is counted against, e.g. 80GB");
}

}  // namespace

void add_parallel(CLI::App& app, const Common& common) {
  CLI::App* command = app.add_subcommand("parallel", "Experts over many devices: load, balancers, bytes over links");
  const auto arguments = std::make_shared<ParallelArguments>();
  add_draws(*command, *arguments);
  add_balancers(*command, *arguments);
  add_links(*command, *arguments);
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
