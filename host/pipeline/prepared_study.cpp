#include "host/pipeline/prepared_study.hpp"

#include <string>
#include <utility>
#include <vector>

#include "cuda/device_backend.hpp"
#include "cuda/device_choice.hpp"
#include "host/pipeline/study_results.hpp"
#include "host/simulate/cpu_backend.hpp"
#include "host/study/grid.hpp"
#include "host/support/job_rank.hpp"

namespace moecarlo {
namespace {

Plan plan_of(const Study& study, const RoutingTable& table, const std::optional<hw::StudyProjection>& projection,
             TraceSources sources) {
  const Grid grid = make_grid(study, projection ? projection->implied_capacities() : std::vector<ImpliedCapacity>{},
                              {.layers = table.layers, .baseline = true, .oracle = true, .objects = table.experts});
  return make_plan(study, grid, table, std::move(sources));
}

}  // namespace

PreparedStudy::PreparedStudy(const Study& study, RoutingTable routing, TraceSources sources)
    : table(std::move(routing)),
      projection(make_projection(study, table.layers, table.experts / table.slices, table.top_k / table.slices)),
      plan(plan_of(study, table, projection, std::move(sources))) {}

std::optional<int> chosen_device(const RunSpec& run) {
  if (run.backend == "cpu") return {};  // without asking for a GPU
  std::string why_not;
  return device_for(run.backend, run.device, usable_devices(why_not), local_rank());
}

std::optional<int> simulating_device(const RunSpec& run, const Plan& plan) {
  // A replay is one walk through the trace, front to back: a GPU would have a thread a layer to run.
  if (run.backend == "auto" && plan.walk == Walk::replay) return {};
  if (plan.prefetch.lead_count > 0) return {};  // which the CPU counts
  return chosen_device(run);
}

std::unique_ptr<Backend> make_backend(const RunSpec& run, const RoutingView& routing, const Plan& plan) {
  if (const auto device = simulating_device(run, plan)) return make_device_backend(routing, plan, *device);
  return make_cpu_backend(routing, plan, run.threads);
}

}  // namespace moecarlo
