#pragma once

#include "cuda/core/drawn_routing.hpp"
#include "cuda/core/verify.hpp"

namespace moecarlo {

// A verify pass in one layer, as demand rules see it (traits.hpp).

/// use(expert, gate) for the members of a mask, ascending. mass: their gate masses; null where they are not known, and
/// equal shares stand for them.
template <int Words, class Use>
MOECARLO_HOST_DEVICE void each_gate(const ExpertMask<Words>& chosen, const std::uint16_t* mass, const Use& use) {
  const std::uint32_t count = chosen.count();
  each_member(chosen, [&](std::uint32_t expert) MOECARLO_INLINED {
    use(expert, mass != nullptr ? *mass++ : (kGateOne + count / 2) / count);
  });
}

/// The gate of one of them.
template <int Words>
MOECARLO_HOST_DEVICE std::uint32_t gate_in(const ExpertMask<Words>& chosen, const std::uint16_t* mass,
                                           std::uint32_t expert) {
  const std::uint32_t count = chosen.count();
  return mass != nullptr ? mass[(chosen & ExpertMask<Words>::first(expert)).count()] : (kGateOne + count / 2) / count;
}

/// What passes of episodes and starts that are enumerated have in common: masks of experts, of which there may be two
/// objects each.
template <int Words>
struct LayerChoices {
  using Mask = ExpertMask<Words>;
  static constexpr int kWords = Words;

  const RoutingView& routing;
  const PlanView& plan;
  const Cell& cell;
  std::uint32_t layer;

  MOECARLO_HOST_DEVICE bool knows_gates() const { return plan.gate_mass != nullptr && plan.perturb.logits == nullptr; }
  /// Whether objects are slices: the lower ones drafting_experts further than the upper ones, never without them.
  MOECARLO_HOST_DEVICE bool has_slices() const { return plan.drafting_experts < routing.experts; }
  MOECARLO_HOST_DEVICE ExpertMask<Words> experts_of(const ExpertMask<Words>& objects) const {
    return has_slices() ? objects & ExpertMask<Words>::first(plan.drafting_experts) : objects;
  }
  /// Of experts of which those of `whole` are asked for with both slices, where there are slices.
  MOECARLO_HOST_DEVICE ExpertMask<Words> objects_of(const ExpertMask<Words>& experts,
                                                    const ExpertMask<Words>& whole) const {
    return has_slices() ? experts | with_lower_slices(whole, plan.drafting_experts) : experts;
  }
  MOECARLO_HOST_DEVICE std::uint32_t entropy_term(std::uint32_t gate) const { return plan.entropy_terms[gate]; }
  MOECARLO_HOST_DEVICE ExpertMask<Words> of_token(std::uint32_t token) const {
    return experts_of(RowMasks<Words, 1>::of(routing, layer).routed(token, 0));
  }
  MOECARLO_HOST_DEVICE const std::uint16_t* gates_of(std::uint32_t token) const {
    return gate_mass_at(routing, plan, token, layer);
  }
  MOECARLO_HOST_DEVICE const std::uint8_t* magnitudes_of(std::uint32_t token) const {
    return magnitudes_at(routing, plan, token, layer);
  }
};

/// A pass of an episode.
template <int Words>
struct EpisodeChoices : LayerChoices<Words> {
  using typename LayerChoices<Words>::Mask;

  const AskedColumns<Words>& asked;
  const Path& drawn;
  const std::uint32_t* rows;  ///< [slots] what columns route like
  const TrajectoryId& id;
  std::uint32_t pass;
  const std::uint8_t* accepted;  ///< [batch] lengths of this pass
  Mask held;                     ///< residents, of a cell that has one point

  MOECARLO_HOST_DEVICE std::size_t slot(std::uint32_t i) const {
    return std::size_t{pass} * this->cell.columns() * this->cell.batch + i;
  }
  MOECARLO_HOST_DEVICE std::uint32_t columns() const { return this->cell.verified() * this->cell.batch; }
  MOECARLO_HOST_DEVICE Mask chosen(std::uint32_t i) const { return this->experts_of(asked.routed(slot(i), 0)); }
  MOECARLO_HOST_DEVICE Mask objects(std::uint32_t i) const { return asked.used(slot(i), 0); }
  MOECARLO_HOST_DEVICE Mask used(std::uint32_t i) const { return this->experts_of(objects(i)); }
  MOECARLO_HOST_DEVICE bool is_accepted(std::uint32_t i) const { return i / this->cell.batch <= accepted[request(i)]; }
  MOECARLO_HOST_DEVICE std::uint32_t confidence(std::uint32_t i) const { return drawn.confidence[slot(i)]; }
  MOECARLO_HOST_DEVICE std::uint32_t request(std::uint32_t i) const { return i % this->cell.batch; }
  MOECARLO_HOST_DEVICE std::uint32_t level(std::uint32_t i) const {
    return Tree::level(i / this->cell.batch, this->cell.depth);
  }
  MOECARLO_HOST_DEVICE Mask residents() const { return this->experts_of(held); }
  MOECARLO_HOST_DEVICE const MissRateController& controller() const { return *drawn.controller; }
  MOECARLO_HOST_DEVICE void use(std::uint32_t i, const Mask& experts) const { use(i, experts, experts); }
  MOECARLO_HOST_DEVICE void use(std::uint32_t i, const Mask& experts, const Mask& whole) const {
    asked.use(slot(i), this->objects_of(experts, whole));
  }

  template <class Use>
  MOECARLO_HOST_DEVICE void each_choice(std::uint32_t i, const Use& use) const {
    each_source(i,
                [&](std::uint32_t expert, std::uint32_t gate, std::uint32_t) MOECARLO_INLINED { use(expert, gate); });
  }

  /// use(expert, gate, token): from which token it is.
  template <class Use>
  MOECARLO_HOST_DEVICE void each_source(std::uint32_t i, const Use& use) const {
    const std::uint32_t column = i / this->cell.batch;
    const Mask own = chosen(i);
    if (own.count() == 0) return;
    if (column > this->cell.depth) return each_source_of_sibling(i, column, own, use);
    const std::uint32_t token = rows[slot(i)];
    each_gate(own, this->gates_of(token),
              [&](std::uint32_t expert, std::uint32_t gate) MOECARLO_INLINED { use(expert, gate, token); });
  }

  /// An expert that a sibling borrows brings the gate of the token that it comes from.
  template <class Use>
  MOECARLO_HOST_DEVICE void each_source_of_sibling(std::uint32_t i, std::uint32_t column, const Mask& own,
                                                   const Use& use) const {
    const std::uint32_t request = i % this->cell.batch, level = Tree::level(column, this->cell.depth);
    const std::uint32_t other = drawn.others[slot(i)];
    const Mask of_path = chosen(level * this->cell.batch + request), of_other = this->of_token(other);
    const DrawAddress address{this->plan.seed, id.stream,        id.number, pass,
                              request,         Purpose::sibling, column,    this->layer};
    SiblingDraws draws = SiblingDraws::of(address);
    const Mask kept = kept_by_sibling(of_path, draws, this->plan.sibling_keeps);
    const std::uint32_t path_token = rows[slot(level * this->cell.batch + request)];
    each_member(own, [&](std::uint32_t expert) MOECARLO_INLINED {
      if (kept.contains(expert)) {
        use(expert, gate_in(of_path, this->gates_of(path_token), expert), path_token);
      } else {
        use(expert, gate_in(of_other, this->gates_of(other), expert), other);
      }
    });
  }
};

/// One start of a sequence, where each is counted once: a chain of one request.
template <int Words>
struct StartChoices : LayerChoices<Words> {
  using typename LayerChoices<Words>::Mask;

  std::uint32_t token;               ///< column 0
  const std::uint16_t* confidences;  ///< [columns]
  Mask* asked;                       ///< [columns]

  MOECARLO_HOST_DEVICE std::uint32_t columns() const { return this->cell.depth + 1; }
  MOECARLO_HOST_DEVICE Mask chosen(std::uint32_t i) const { return this->of_token(token + i); }
  MOECARLO_HOST_DEVICE Mask objects(std::uint32_t i) const { return asked[i]; }
  MOECARLO_HOST_DEVICE Mask used(std::uint32_t i) const { return this->experts_of(asked[i]); }
  MOECARLO_HOST_DEVICE std::uint32_t confidence(std::uint32_t i) const { return confidences[i]; }
  MOECARLO_HOST_DEVICE std::uint32_t request(std::uint32_t) const { return 0; }
  MOECARLO_HOST_DEVICE std::uint32_t level(std::uint32_t i) const { return i; }
  MOECARLO_HOST_DEVICE Mask residents() const {
    return this->experts_of(static_residents<Words>(this->plan.capacities[this->cell.first_capacity], this->layer));
  }
  /// Starts that stand alone have no miss rate so far.
  MOECARLO_HOST_DEVICE MissRateController controller() const { return {}; }
  MOECARLO_HOST_DEVICE void use(std::uint32_t i, const Mask& experts) const { use(i, experts, experts); }
  MOECARLO_HOST_DEVICE void use(std::uint32_t i, const Mask& experts, const Mask& whole) const {
    asked[i] = this->objects_of(experts, whole);
  }
  template <class Use>
  MOECARLO_HOST_DEVICE void each_choice(std::uint32_t i, const Use& use) const {
    each_gate(chosen(i), this->gates_of(token + i), use);
  }
  template <class Use>
  MOECARLO_HOST_DEVICE void each_source(std::uint32_t i, const Use& use) const {
    each_choice(i, [&](std::uint32_t expert, std::uint32_t gate) MOECARLO_INLINED { use(expert, gate, token + i); });
  }
};

}  // namespace moecarlo
