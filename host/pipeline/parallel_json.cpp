#include <nlohmann/json.hpp>

#include "host/pipeline/parallel_report.hpp"

namespace moecarlo {
namespace {

using Json = nlohmann::ordered_json;

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

/// An estimate that is there or not: value and half-widths, keys of their own.
void add(Json& json, const std::string& name, const std::string& stem, const std::optional<Estimate>& estimate) {
  json[name] = estimate ? Json(estimate->value) : Json(nullptr);
  json[stem + "_mc_half_width"] = estimate ? or_null(estimate->mc_half_width.stated()) : Json(nullptr);
  json[stem + "_trace_half_width"] = estimate ? or_null(estimate->trace_half_width.stated()) : Json(nullptr);
}

Json to_json(const ParallelPoint& point, const ParallelQuestion& question) {
  Json json{{"devices", point.devices},
            {"placement", question.placement},
            {"balancer", to_string(question.balancer)},
            {"device_max_over_mean", to_json(point.device_max_over_mean)},
            {"expert_max_over_mean", to_json(point.expert_max_over_mean)},
            {"device_loads", point.device_loads.size() == 1 ? Json(point.device_loads[0]) : Json(point.device_loads)},
            {"transfers", point.transfers.value},
            {"spilled", point.spilled.value},
            {"forced", point.forced.value},
            {"replicas", point.replicas.value},
            {"migrations", point.migrations.value},
            {"migration_hops", point.migration_hops.value},
            {"hop_bytes", or_null(point.hop_bytes)},
            {"link_loads", links_of(point)},
            {"all_reduce_bytes", or_null(point.all_reduce_bytes)},
            {"dispatch_bytes", or_null(point.dispatch_bytes)},
            {"combine_bytes", or_null(point.combine_bytes)},
            {"peak_memory_bytes", or_null(point.peak_memory_bytes)},
            {"rejected_share", or_null(point.rejected_share)}};
  add(json, "over_memory_probability", "over_memory", point.over_memory);
  add(json, "seconds", "seconds", point.seconds);
  add(json, "expert_seconds", "expert_seconds", point.expert_seconds);
  add(json, "busiest_link_seconds", "busiest_link_seconds", point.busiest_link_seconds);
  add(json, "tokens_per_second_per_device", "tokens_per_second_per_device", point.tokens_per_second_per_device);
  return json;
}

}  // namespace

Json parallel_json(const ParallelAnswer& answer, const ParallelQuestion& question) {
  Json points = Json::array();
  for (const ParallelPoint& point : answer.points) points.push_back(to_json(point, question));
  return {{"batches", answer.batches}, {"points", points}};
}

}  // namespace moecarlo
