#include "hw/layer_time/layer_time.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "host/support/error.hpp"
#include "hw/plan/plan.hpp"
#include "hw/plan/totals.hpp"

namespace moecarlo::hw {
namespace {

const System& linked(const System& machine) {
  if (machine.devices.count < 2) {
    fail(ErrorKind::usage, "{}: one device (expected a machine with [devices], whose link joins them)", machine.name);
  }
  return machine;
}

double total_seconds(const System& system, const Pass& pass) {
  const PassTotals totals = sum_pass(system, pass, {{1.0}, 1}, [](const RoutedPart&, double, PassTotals&) {});
  return totals.groups.front().seconds;
}

}  // namespace

LayerTime::LayerTime(const System& machine, const Model& model, const Topology& topology, const Mapping& mapping,
                     const Options& options)
    : device_(with_devices(linked(machine), 1)),
      group_(with_devices(machine, mapping.group_size)),
      model_(model),
      ports_(topology),
      mapping_(mapping),
      options_(options),
      dispatch_(ports_, mapping, options.source, ExpertTraffic::Step::dispatch),
      combine_(ports_, mapping, options.source, ExpertTraffic::Step::combine) {
  for (const CollectiveStep& step : all_reduce_steps(mapping, 1)) {
    all_reduce_.emplace_back(crossing_of(ports_, step.messages), step.count);
  }
  const Unit& unit = device_.units.front();
  const double bits = model_.expert_format.bits;
  per_token_ = compute(unit, model_.expert, 1, bits, model_.expert_format.multiplied_share(bits, unit.bits_per_pass));
  per_expert_ = read(device_, unit, 0, expert_bytes(model_)) + decode(unit, weights(model_.expert), bits);
  group_.devices.count = 1;  // its all-reduces are counted by the links between its devices
}

Work LayerTime::crossing(const Crossing& crossing, double times) const {
  Work work;
  const auto [link, far_link] = std::pair(device_.devices.link, device_.devices.far_link);
  if (link == far_link) {  // ports of one kind, all of them at once
    work.add(link, times * std::max(crossing.near_bytes, crossing.far_bytes), crossing.near_hops + crossing.far_hops);
    return work;
  }
  work.add(link, times * crossing.near_bytes, crossing.near_hops);
  work.add(far_link, times * crossing.far_bytes, crossing.far_hops);
  return work;
}

Pass LayerTime::all_reduce(double tokens) const {
  const double bytes = tokens / mapping_.groups * model_.hidden * options_.value_bytes;
  std::vector<Pass> steps;
  for (const auto& [of_a_byte, count] : all_reduce_) {
    steps.push_back({Part{RoundPart::verify_link, count, Task{crossing(of_a_byte, bytes), {}, {}}}});
  }
  return then(std::move(steps));
}

Task LayerTime::expert(double tokens) const {
  Task task{per_expert_, {}, {}};
  task.own.add(tokens, per_token_);
  return task;
}

std::vector<Pass> LayerTime::busiest_device(const Spread& spread, double share) const {
  std::vector<double> seconds(spread.devices, 0);
  for (const Chunk& chunk : spread.chunks) {
    if (chunk.tokens > 0) seconds[chunk.device] += seconds_of(device_, expert(share * chunk.tokens).own);
  }
  const auto busiest = std::max_element(seconds.begin(), seconds.end()) - seconds.begin();
  std::vector<Pass> parts;
  for (const Chunk& chunk : spread.chunks) {
    if (chunk.device != busiest || chunk.tokens <= 0) continue;
    parts.push_back({Part{RoundPart::verify_experts, 1, expert(share * chunk.tokens)}});
  }
  return parts;
}

LayerSeconds LayerTime::operator()(const Spread& spread, double tokens) const {
  const bool halved = options_.overlap == Overlap::halves;
  const double share = halved ? 0.5 : 1;
  std::vector<double> bytes = spread.device_loads();
  for (double& load : bytes) load *= share * model_.hidden * options_.value_bytes;
  std::vector<Message> moved;
  for (const Chunk& chunk : spread.chunks) {
    if (chunk.moved) moved.push_back({chunk.home, chunk.device, expert_bytes(model_)});
  }
  for (const ExpertCopy& copy : spread.awaited) moved.push_back({copy.from, copy.to, expert_bytes(model_)});
  const auto link = [&](const Crossing& crossed) {
    return Pass{Part{RoundPart::verify_link, 1, Task{crossing(crossed, 1), {}, {}}}};
  };
  const Pass reduced = all_reduce(share * tokens), weights = link(crossing_of(ports_, moved));
  const Pass dispatch = link(dispatch_.crossing(bytes)), combine = link(combine_.crossing(bytes));
  const Pass experts = then(busiest_device(spread, share));
  const Pass layer = halved ? then({weights, times(2, beside(then({reduced, dispatch, combine}), experts))})
                            : then({reduced, weights, dispatch, experts, combine});
  const auto seconds = [&](const Pass& pass) { return total_seconds(device_, pass); };
  const double halves = halved ? 2 : 1;
  return {halves * seconds(reduced), halves * seconds(dispatch), halves * seconds(combine),
          seconds(weights),          halves * seconds(experts),  seconds(layer)};
}

double LayerTime::rest_seconds(double requests, double columns, std::uint32_t context) const {
  const double of_group = std::ceil(requests / mapping_.groups);
  Serving serving;
  serving.context = context;
  serving.batch = static_cast<std::uint32_t>(of_group);
  LayerPass pass;
  pass.tokens = of_group * columns;
  pass.kept_bits = model_.dense_format.bits;
  std::vector<Pass> parts = dense_parts(group_, model_, serving, pass);
  for (Pass& part : parts_between(group_, model_, pass)) parts.push_back(std::move(part));
  const double plain = count_layers(model_) - model_.moe_layers;
  return total_seconds(group_, then(std::move(parts))) + plain * total_seconds(device_, all_reduce(requests * columns));
}

}  // namespace moecarlo::hw
