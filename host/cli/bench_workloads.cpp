#include "host/cli/bench_workloads.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <map>
#include <utility>

#include "host/simulate/sources.hpp"
#include "host/study/demand.hpp"
#include "host/study/grid.hpp"
#include "host/study/names.hpp"
#include "host/trace/perturbed.hpp"
#include "host/trace/routing_table_builder.hpp"
#include "host/trace/synth.hpp"

namespace moecarlo::cli {
namespace {

constexpr double kMaskWords = kBenchExperts / 32.0;

/// One step back over a pass and one over a token, to find the residents.
constexpr double kStepsBack = 2;

/// Of a pass with one cache a layer: masks merged into the union of all columns and of the accepted ones; experts,
/// accepted experts, hits, experts fetched for rejected columns, resident draft choices and cache writes counted.
LeastWork least_of_policy(double steps_back = 0) {
  const double columns = kBenchDepth + 1;
  const double counts = 6;
  return {kMaskWords * (2 * columns + 2 * counts + 2 * steps_back) / columns,
          kMaskWords * (counts + steps_back) / columns};
}

/// Of static caches: masks merged. Tensor cores can count the hits.
LeastWork least_of_static() {
  return {kMaskWords, 0};
}

/// Of LRU caches of many capacities: the interval of each choice's position looked up and counted.
LeastWork least_of_capacities() {
  return {2.0 * kBenchTopK, 0};
}

// One Philox block: ten rounds of two wide products, two exclusive ors of three numbers and two additions.
constexpr double kPhiloxOperations = 10 * 6;

/// Eight draws at least: two blocks; a product, a comparison, a selection and an insertion each.
LeastWork least_of_alias() {
  LeastWork work = least_of_policy(kStepsBack);
  work.integer_operations += kBenchTopK / 4.0 * kPhiloxOperations + kBenchTopK * 4;
  return work;
}

/// Noise of 16 bits, one addition and one comparison for each expert.
LeastWork least_of_gumbel() {
  LeastWork work = least_of_policy(kStepsBack);
  work.integer_operations += kBenchExperts / 8.0 * kPhiloxOperations + kBenchExperts * 3;
  return work;
}

double steps_of(const Plan& plan) {
  const PlanView view = plan.view();
  double steps = 0;
  if (!has_episodes(view.walk)) {
    steps = double{1} * view.max_batch * (view.max_depth + 1);
  } else {
    for (const Cell& cell : plan.layout.cells) steps += double{1} * cell.batch * cell.columns();
  }
  return steps * view.rounds * plan.shape.layers;
}

std::vector<std::uint32_t> sixteen_capacities() {
  std::vector<std::uint32_t> capacities;
  for (std::uint32_t c = 1; c <= 16; ++c) capacities.push_back(c * kBenchExperts / 16);
  return capacities;
}

NamedWorkload redrawn(PerturbMethod method, BenchTables& tables) {
  const bool alias = method == PerturbMethod::alias;
  return {fmt::format("lru, routing drawn by {}", alias ? "alias" : "gumbel"),
          [&tables, method, alias](const std::string& name) {
            Study study = reference_study();
            study.mode = Mode::perturbed;
            const RoutingTable& table = tables.logits();
            TraceSources sources;
            sources.perturbed = read_perturbed(tables.logits_trace().path(), table, study.temperature, method, 0);
            return make_workload(name, study, table, alias ? least_of_alias() : least_of_gumbel(), std::move(sources));
          }};
}

Study stateless_study(std::vector<std::uint32_t> batches, std::vector<std::uint32_t> depths,
                      std::vector<std::uint32_t> capacities) {
  Study study = reference_study();
  study.grid.policy = {Policy::static_residents};
  study.grid.batch = std::move(batches);
  study.grid.depth = std::move(depths);
  study.grid.capacity = std::move(capacities);
  return study;
}

/// The numbers that rules are measured with, by their keys.
const std::map<std::string, std::vector<double>> kRuleNumbers = {{"theta", {0.1}}, {"experts", {24}}, {"mass", {0.8}}};

/// The reference workload under a rule, on a table that suits it.
NamedWorkload asking(DemandRule rule, BenchTables& tables) {
  Study study = reference_study();
  DemandSpec& demand = study.demand.emplace();
  demand.rules = {rule};
  for (const DemandParameter& parameter : parameters_of(rule)) {
    const auto number = kRuleNumbers.find(parameter.key);
    if (number != kRuleNumbers.end()) demand.stated.insert(*number);
  }
  if (needs_slices(rule)) {
    study.cache.objects = Objects::slices;
    study.grid.capacity = {2 * kBenchCapacity};
  }
  return {kRulesName + demand_points(demand).front().label, [&tables, study](const std::string& name) {
            RoutingTable read = tables.logits();
            TraceSources sources = load_sources(study, read, false);
            const bool slices = study.cache.objects == Objects::slices;
            return make_workload(name, study, slices ? tables.slices() : tables.logits(), least_of_policy(kStepsBack),
                                 std::move(sources));
          }};
}

}  // namespace

BenchTrace::BenchTrace(bool with_logits)
    : path_(std::filesystem::temp_directory_path() /
            fmt::format("moecarlo-bench-{}-{}.h5", ::getpid(), with_logits ? "logits" : "ids")) {
  SynthOptions options;
  options.layers = kBenchLayers;
  options.experts = kBenchExperts;
  options.top_k = kBenchTopK;
  options.sequences = 1;
  options.tokens_per_sequence = kBenchTokens;
  options.zipf = 0.8;
  options.stickiness = 0.35;
  options.form = with_logits ? TraceForm::logits_float16 : TraceForm::expert_ids;
  write_synthetic_trace(path_, SynthLaw(options), 0, {});
}

BenchTrace::~BenchTrace() {
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

RoutingTable BenchTrace::read() const {
  TableOptions options;
  options.calibration_share.reset();
  return build_routing_table(path_, options);
}

RoutingTable synthetic_table(const std::string& name, std::uint32_t layers, std::uint32_t experts,
                             std::uint32_t top_k) {
  SynthOptions options;
  options.layers = layers;
  options.experts = experts;
  options.top_k = top_k;
  options.sequences = 16;
  options.tokens_per_sequence = 256;
  const auto path = std::filesystem::temp_directory_path() / fmt::format("moecarlo-bench-{}-{}.h5", ::getpid(), name);
  write_synthetic_trace(path, SynthLaw(options), 0, {});
  TableOptions table_options;
  table_options.calibration_share.reset();
  RoutingTable table = build_routing_table(path, table_options);
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  return table;
}

Study reference_study() {
  Study study;
  study.rounds = kBenchRounds;
  study.start = Start::cold;
  study.calibration.reset();
  study.acceptance.alpha = kBenchAlpha;
  study.grid.depth = {kBenchDepth};
  study.grid.policy = {Policy::lru};
  study.grid.capacity = {kBenchCapacity};
  return study;
}

Workload make_workload(std::string name, const Study& study, const RoutingTable& table, LeastWork least,
                       TraceSources sources) {
  Workload workload{std::move(name), make_plan(study, make_grid(study, {}), table, std::move(sources)), &table, 0,
                    least};
  workload.steps = steps_of(workload.plan);
  return workload;
}

const BenchTrace& BenchTables::ids_trace() {
  return ids_trace_ ? *ids_trace_ : ids_trace_.emplace(false);
}
const BenchTrace& BenchTables::logits_trace() {
  return logits_trace_ ? *logits_trace_ : logits_trace_.emplace(true);
}
const RoutingTable& BenchTables::ids() {
  return ids_ ? *ids_ : ids_.emplace(ids_trace().read());
}
const RoutingTable& BenchTables::logits() {
  return logits_ ? *logits_ : logits_.emplace(logits_trace().read());
}
const RoutingTable& BenchTables::small() {
  return small_ ? *small_ : small_.emplace(synthetic_table("small", 6, 32, 4));
}
const RoutingTable& BenchTables::slices() {
  return slices_ ? *slices_ : slices_.emplace(with_slices(logits()));
}

std::vector<NamedWorkload> bench_workloads(BenchTables& tables) {
  std::vector<NamedWorkload> workloads;
  const auto add = [&](std::string own_name, Study study, LeastWork least) {
    workloads.push_back({std::move(own_name), [&tables, study = std::move(study), least](const std::string& name) {
                           return make_workload(name, study, tables.ids(), least);
                         }});
  };
  add(kReferenceName, reference_study(), least_of_policy(kStepsBack));
  for (const auto& [word, policy] : policy_names()) {
    if (policy == Policy::lru) continue;
    Study study = reference_study();
    study.grid.policy = {policy};
    add(std::string(word), study, policy == Policy::static_residents ? least_of_static() : least_of_policy());
  }
  workloads.push_back(redrawn(PerturbMethod::alias, tables));
  workloads.push_back(redrawn(PerturbMethod::gumbel, tables));
  Study sixteen = reference_study();
  sixteen.grid.capacity = sixteen_capacities();
  add(kSixteenName, sixteen, least_of_capacities());
  add(kLargestName, stateless_study({16}, {8}, {kBenchCapacity}), least_of_static());
  add(kGridName, stateless_study({1, 2, 4, 8, 16}, {1, 2, 3, 4, 5, 6, 7, 8}, sixteen_capacities()), least_of_static());
  for (const DemandRule rule : all_demand_rules()) {
    if (!drafts_nearest(rule)) workloads.push_back(asking(rule, tables));
  }
  return workloads;
}

std::vector<Workload> plain_workloads(BenchTables& tables) {
  Study study = reference_study();
  study.rounds = 16;
  study.grid.batch = {1, 8};
  study.grid.depth = {0, 2, 4};
  study.grid.policy = {Policy::static_residents, Policy::lru};
  study.grid.capacity = {8, 16};
  return {make_workload(kReferenceName, reference_study(), tables.ids(), least_of_policy(kStepsBack)),
          make_workload("cells of README's study", study, tables.small(), {})};
}

}  // namespace moecarlo::cli
