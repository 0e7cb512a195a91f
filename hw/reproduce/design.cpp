#include "hw/reproduce/design.hpp"

namespace moecarlo::hw {
namespace {

constexpr std::uint32_t kElasticBits = 4;

}  // namespace

RoundCost per_token(const RoundCost& cost, double tokens) {
  const JoulesByStanding& j = cost.joules;
  return {cost.seconds / tokens, {j.published / tokens, j.derived / tokens, j.assumed / tokens}};
}

Serving Design::serving(bool drafting) const {
  Serving serving{laws.context, batch, drafting ? laws.draft_of(scheme.name).depth : 0, kElasticBits};
  if (drafting) {
    serving.draft_width = laws.width;
    serving.verify_columns = laws.verify_tokens;
  }
  return serving;
}

Placement Design::placed(bool drafting) const {
  return place(system, scheme, model, serving(drafting), model.moe_layers);
}

RoundCost Design::cost(const Serving& how, const Placement& placement, const MeanCounts& counts) const {
  const Done round = at_means(system, model, scheme.plan(system, model, how, placement).round, counts);
  return {round.seconds, joules_by_standing(system, round.work, round.seconds)};
}

RoundCost Design::step(double hit_share) const {
  const double distinct = routing.distinct(batch), hits = hit_share * distinct;
  return cost(serving(false), placed(false), {hits, distinct - hits, 0, 0});
}

RoundCost Design::round() const {
  const Placement placement = placed(true);
  const double slots = placement.capacity.mean(model.moe_layers);
  const bool own_residents = scheme.draft_routing == DraftRouting::residents;
  const auto degradation = own_residents ? std::nullopt : std::optional(laws.degradation);
  MeanCounts counts;
  const double verified = routing.union_of_requests(routing.request_union(laws.reuse_tokens, laws.reuse), batch);
  counts.hits = routing.held_share(slots, verified, degradation) * verified;
  counts.misses = verified - counts.hits;
  const double of_one = routing.request_union(laws.width, laws.draft_of(scheme.name).reuse);
  if (own_residents) {
    counts.draft_hits = routing.residents_touched(slots, batch * of_one / model.top_k);
  } else if (scheme.draft_routing == DraftRouting::all) {
    const double touched = routing.union_of_requests(of_one, batch);
    counts.draft_hits = routing.held_share(slots, touched, degradation) * touched;
    counts.draft_misses = touched - counts.draft_hits;
  }
  return cost(serving(true), placement, counts);
}

}  // namespace moecarlo::hw
