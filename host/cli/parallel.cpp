#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "host/cli/commands.hpp"
#include "host/cli/terminal.hpp"
#include "host/parallel/loads_file.hpp"
#include "host/pipeline/expert_parallel.hpp"
#include "host/pipeline/size.hpp"
#include "host/report/results/number_text.hpp"
#include "host/support/error.hpp"
#include "hw/model/model.hpp"

namespace moecarlo::cli {
namespace {

using Json = nlohmann::ordered_json;

struct ParallelArguments {
  ParallelQuestion question;
  std::string loads, balancer = "none", llep = "paper", lambda_on, rule = "nearest", memory, model;
  bool json = false, everywhere = false;
};

Json to_json(const OverLayers& over) {
  // Exact: there is no interval.
  return {{"mean", over.mean},
          {"p50", over.p50},
          {"p99", over.p99},
          {"mc_half_width", nullptr},
          {"trace_half_width", nullptr}};
}

Json or_null(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json to_json(const ParallelPoint& point, const ParallelArguments& arguments) {
  Json links = Json::array();
  for (const LinkLoad& load : point.link_loads) {
    links.push_back({{"from", load.from},
                     {"to", load.to},
                     {"bytes", load.dispatch},
                     {"combine_bytes", load.combine},
                     {"all_reduce_bytes", load.all_reduce}});
  }
  const Json loads = point.device_loads.size() == 1 ? Json(point.device_loads[0]) : Json(point.device_loads);
  return {{"devices", point.devices},
          {"placement", arguments.question.placement},
          {"balancer", arguments.balancer},
          {"device_max_over_mean", to_json(point.device_max_over_mean)},
          {"expert_max_over_mean", to_json(point.expert_max_over_mean)},
          {"device_loads", loads},
          {"transfers", point.transfers},
          {"spilled", point.spilled},
          {"forced", point.forced},
          {"replicas", point.replicas},
          {"migrations", point.migrations},
          {"migration_hops", point.migration_hops},
          {"hop_bytes", or_null(point.hop_bytes)},
          {"link_loads", links},
          {"all_reduce_bytes", or_null(point.all_reduce_bytes)},
          {"dispatch_bytes", or_null(point.dispatch_bytes)},
          {"combine_bytes", or_null(point.combine_bytes)},
          {"peak_memory_bytes", or_null(point.peak_memory_bytes)},
          {"over_memory_probability", or_null(point.over_memory)}};
}

void print(const std::vector<ParallelPoint>& points, const ParallelArguments& arguments, std::size_t layers) {
  say("{}: {} layer{}, placement {}, balancer {}, topology {}; means over layers\n\n", arguments.loads, layers,
      layers == 1 ? "" : "s", arguments.question.placement, arguments.balancer, arguments.question.topology);
  say("{:>8} {:>17} {:>8} {:>10} {:>10} {:>8} {:>9} {:>11} {:>14}\n", "devices", "device max/mean", "p99", "transfers",
      "spilled", "forced", "replicas", "migrations", "busiest link");
  for (const ParallelPoint& point : points) {
    double busiest = 0;
    for (const LinkLoad& load : point.link_loads)
      busiest = std::max(busiest, load.dispatch + load.combine + load.all_reduce);
    say("{:>8} {:>17.4g} {:>8.4g} {:>10.4g} {:>10.4g} {:>8.4g} {:>9.4g} {:>11.4g} {:>14}\n", point.devices,
        point.device_max_over_mean.mean, point.device_max_over_mean.p99, point.transfers, point.spilled, point.forced,
        point.replicas, point.migrations, point.hop_bytes ? fmt::format("{:.4g} B", busiest) : "no --hidden");
  }
}

void take_model(ParallelArguments& arguments) {
  if (arguments.model.empty()) return;
  const hw::Model model = hw::read_model(arguments.model);
  ParallelQuestion& question = arguments.question;
  if (!question.top_k) question.top_k = model.top_k;
  if (!question.hidden) question.hidden = model.hidden;
  question.expert_bytes = expert_bytes(model);
  question.expert_width = model.expert.back().inputs;
}

void run(ParallelArguments arguments) {
  ParallelQuestion& question = arguments.question;
  const std::vector<std::pair<const char*, Balancer>> balancers{
      {"none", Balancer::none}, {"llep", Balancer::llep}, {"eplb", Balancer::eplb}, {"ni", Balancer::ni}};
  for (const auto& [name, balancer] : balancers) {
    if (arguments.balancer == name) question.balancer = balancer;
  }
  question.llep.as_coded = arguments.llep == "code";
  question.llep.on_devices = arguments.lambda_on.empty() ? question.llep.as_coded : arguments.lambda_on == "device";
  question.copies.rule = arguments.rule == "nearest" ? CopyRule::nearest : CopyRule::least_loaded;
  if (arguments.everywhere) question.source = hw::TokenSource::all;
  if (!arguments.memory.empty()) question.memory_bytes = parse_bytes(arguments.memory);
  take_model(arguments);
  if (question.memory_bytes && !question.expert_bytes) {
    fail(ErrorKind::usage, "--memory needs --model, which says how large an expert is");
  }
  const std::vector<ExpertLoads> layers = read_loads(arguments.loads);
  const std::vector<ParallelPoint> points = spread_loads(layers, question);
  if (!arguments.json) return print(points, arguments, layers.size());
  Json list = Json::array();
  for (const ParallelPoint& point : points) list.push_back(to_json(point, arguments));
  say_json(Json{{"points", list}});
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
  command.add_option("--top-k", question.top_k, "Experts of a token")->check(CLI::PositiveNumber);
  command.add_option("--hidden", question.hidden, "Values of an activation")->check(CLI::PositiveNumber);
  command.add_option("--bytes", question.value_bytes, "Bytes of one of them")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--model", arguments.model,
                     "Preset or config.json, for --top-k, --hidden and the memory of experts");
  command.add_option("--memory", arguments.memory, "Memory of a device that is counted against, e.g. 80GB");
}

}  // namespace

void add_parallel(CLI::App& app, const Common&) {
  CLI::App* command = app.add_subcommand("parallel", "Experts over many devices: load, balancers, bytes over links");
  const auto arguments = std::make_shared<ParallelArguments>();
  command->add_option("--loads", arguments->loads, "CSV, a row of tokens per expert for each layer")->required();
  command
      ->add_option("--devices", arguments->question.devices, "Devices, a point each (default: those of the topology)")
      ->delimiter(',')
      ->check(CLI::Range(1, 65536));
  add_balancers(*command, *arguments);
  add_links(*command, *arguments);
  command->add_flag("--json", arguments->json, "JSON on stdout and nothing else");
  command->footer(
      "Example:\n"
      "  moecarlo parallel --loads loads.csv --devices 8 --balancer llep --min-chunk 64\n\n"
      "Exact, for the given loads. Bytes of a link are those of dispatch, beside them combine and all-reduce.\n"
      "LLEP: arXiv 2601.17111. EPLB: DeepSeek. Meshes and NI: MoEntwine, arXiv 2510.25258.");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace moecarlo::cli
