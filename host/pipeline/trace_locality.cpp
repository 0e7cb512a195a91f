#include "host/pipeline/trace_locality.hpp"

#include <fmt/format.h>

#include <cmath>

#include "host/trace/specialization.hpp"

namespace moecarlo {
namespace {

std::optional<double> correlation_of(const std::optional<Specialization>& found) {
  if (!found || !std::isfinite(found->correlation)) return std::nullopt;
  return found->correlation;
}

}  // namespace

std::vector<hw::LocalityOfTrace> localities_of(const std::vector<std::string>& traces, std::uint32_t segment) {
  std::vector<hw::LocalityOfTrace> all;
  for (const std::string& path : traces) {
    const TraceReader trace(path);
    const TraceInfo& info = trace.info();
    LocalityOptions options;
    options.lengths = {{2}, {segment}};
    const LocalityFigures figures = measure_locality(trace, options);
    const SpecializationFigures experts = measure_specialization(trace, segment, {}, 0);
    all.push_back({fmt::format("{}, top-{} of {}, segments of {}", info.model, info.top_k, info.experts, segment),
                   static_cast<double>(figures.sch_knee.front()) / info.top_k, correlation_of(experts.domain),
                   correlation_of(experts.vocabulary)});
  }
  return all;
}

}  // namespace moecarlo
