#include "hw/study/bit_trade.hpp"

#include <map>

namespace moecarlo::hw {
namespace {

constexpr double bits_per_byte = 8;

double bits_a_weight(const System& system, const Model& model, const Task& expert) {
  return bytes_read(system, expert.own + expert.here) * bits_per_byte / weights(model.expert);
}

Quantity less(Quantity a, double constant) {
  a.value -= constant;
  for (double& replicate : a.replicates) replicate -= constant;
  for (double& half : a.halves) half -= constant;
  return a;
}

}  // namespace

BitTrade draft_sizes(const System& system, const Scheme& scheme, const Model& model, const Serving& serving,
                     const Placement& placement, const MeanCounts& counts) {
  const Plan plan = scheme.plan(system, model, serving, placement);
  const ExpertsWork& draft = find_routed(plan.round, RoundPart::draft_experts)->work;
  const ExpertsWork& verify = find_routed(plan.round, RoundPart::verify_experts)->work;
  BitTrade trade;
  trade.room_bytes = placement.cache_bytes;
  trade.slot_bytes = placement.slot_bytes;
  trade.slots = placement.slots;
  trade.draft_bits = bits_a_weight(system, model, draft.hit);
  trade.whole_bits = bits_a_weight(system, model, verify.miss);
  const Task experts = draft.at(counts.draft_hits, counts.draft_misses);
  trade.step_expert_bytes = model.moe_layers * bytes_read(system, experts.own + experts.here);
  trade.step_bytes = bytes_read(system, at_means(system, model, *find_repeated(plan.round), counts).work);
  trade.home = system.tiers.back().name;
  return trade;
}

BitTrade with_design(BitTrade sizes, const HardwareResult& row) {
  sizes.system = row.system;
  sizes.scheme = row.scheme;
  sizes.policy = row.policy;
  sizes.is_variant = row.is_variant();
  sizes.batch = row.batch;
  sizes.depth = row.depth;
  sizes.bits = row.bits;
  sizes.capacity = row.capacity;
  sizes.alpha = row.alpha;
  sizes.demand = row.demand;
  sizes.lossy = row.lossy;
  sizes.round_home_bytes = row.breakdown.at("bytes." + sizes.home);
  sizes.tokens_per_second = row.tokens_per_second;
  return sizes;
}

Quantity acceptance_of(Quantity tokens_per_round, std::uint32_t batch, std::uint32_t depth) {
  return (1.0 / (double{1} * batch * depth)) * less(std::move(tokens_per_round), batch);
}

void add_line_leads(const Sampling& sampling, const std::vector<Quantity>& speeds, std::vector<BitTrade>& trades) {
  std::map<BitTradeLine, std::size_t> fastest;
  for (std::size_t i = 0; i < trades.size(); ++i) {
    std::size_t& best = fastest.try_emplace(line_of(trades[i]), i).first->second;
    if (speeds[i].value > speeds[best].value) best = i;
  }
  for (std::size_t i = 0; i < trades.size(); ++i) {
    const std::size_t best = fastest.at(line_of(trades[i]));
    trades[i].fastest = speeds[i].value == speeds[best].value;
    trades[i].lead =
        trades[i].fastest ? Estimate{1, Margin::exact(), Margin::exact()} : sampling.estimate(speeds[best] / speeds[i]);
  }
}

}  // namespace moecarlo::hw
