#include "host/cli/bench_projection.hpp"

#include <ctime>
#include <nlohmann/json.hpp>

#include "host/cli/bench_workloads.hpp"
#include "host/cli/terminal.hpp"
#include "host/pipeline/study_results.hpp"
#include "host/simulate/cpu_backend.hpp"
#include "host/simulate/plan.hpp"
#include "host/simulate/run.hpp"
#include "host/study/grid.hpp"
#include "hw/presets/preset.hpp"

namespace moecarlo::cli {
namespace {

/// Of processor time: others may use the machine as well.
double seconds_since(std::clock_t start) {
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

Study rows_study() {
  Study study;
  study.trajectories = 64;  // one a group: what is measured does not depend on them
  study.rounds = 4;
  study.calibration.reset();
  study.grid.batch = {1, 2, 4, 8};
  study.grid.depth = {0, 1, 2, 4, 8};
  study.grid.policy = {Policy::static_residents, Policy::lru, Policy::hotness};
  study.grid.capacity = {8};
  study.grid.bits = {4};
  study.acceptance.alpha = 0.6;
  HardwareSpec& hardware = study.hardware.emplace();
  hardware.model = "gpt-oss-20b-int8";
  hardware.systems = hw::preset_names("systems");
  hardware.schemes = {"ar", "eagle", "slm", "quant", "speq", "elastic"};
  hardware.vary = {{"ext.bandwidth", {1, 1.5, 2, 3}}, {"ext.energy", {0.5, 1}}};
  return study;
}

}  // namespace

ProjectionRate measure_projection(double seconds) {
  const RoutingTable table = synthetic_table("rows", 24, 32, 4);
  const Study study = rows_study();
  const auto projection = make_projection(study, table.layers, table.experts, table.top_k);
  const Plan plan =
      make_plan(study,
                make_grid(study, projection->implied_capacities(),
                          {.layers = table.layers, .baseline = true, .oracle = true, .objects = table.experts}),
                table);
  Tallies tallies(plan.shape);
  RunOptions options;
  options.trajectories = study.trajectories;
  run(*make_cpu_backend(table.view(), plan, 0), options, tallies);
  const std::vector<JointBins> joints = joint_bins(tallies);

  ProjectionRate rate;
  double of_rows = 0, of_all = 0;
  std::size_t turns = 0;
  for (const auto start = std::clock(); turns == 0 || seconds_since(start) < seconds; ++turns) {
    const auto before = std::clock();
    rate.rows = projection->quantities(tallies, joints).size();
    of_rows += seconds_since(before);
    const auto between = std::clock();
    StudyResults results;
    projection->project(tallies, joints, false, results);
    of_all += seconds_since(between);
    rate.constants = results.sensitivity.size();
  }
  const auto count = static_cast<double>(turns);
  rate.rows_per_second = static_cast<double>(rate.rows) * count / of_rows;
  rate.constants_per_second = static_cast<double>(rate.constants) * count / std::max(1e-9, of_all - of_rows);
  rate.seconds_per_10000 = 1e4 * of_all / count / static_cast<double>(rate.rows);
  return rate;
}

nlohmann::ordered_json to_json(const ProjectionRate& rate) {
  return {{"rows", rate.rows},
          {"constants", rate.constants},
          {"rows_per_second", rate.rows_per_second},
          {"constants_per_second", rate.constants_per_second},
          {"seconds_per_10000_rows", rate.seconds_per_10000}};
}

void print(const ProjectionRate& rate) {
  say("\n{} on one core: {:.0f} rows/s of {}, and {:.0f} constants/s of {}; 10,000 rows in {:.2f} s, all included\n",
      kProjectionName, rate.rows_per_second, rate.rows, rate.constants_per_second, rate.constants,
      rate.seconds_per_10000);
}

}  // namespace moecarlo::cli
