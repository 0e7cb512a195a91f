#pragma once

#include "cuda/core/demand/demands.hpp"
#include "cuda/core/demand/pass_choices.hpp"

namespace moecarlo {

// Input channels of experts. Channel j of what is loaded of an expert is loaded iff g |x_j| reaches a threshold in a
// column that uses it and has a say, where x is what the column's token gives the experts of the layer: the fine masks
// of SMoLPU's TaER (in our reading), with any rule.

/// A set of channels.
struct ChannelMask {
  std::uint64_t word[kMostChannels / 64] = {};

  MOECARLO_HOST_DEVICE bool contains(std::uint32_t channel) const {
    return (word[channel / 64] >> (channel % 64) & 1U) != 0;
  }
  /// Adds those of `channels` whose magnitude is `least` or more; without magnitudes all.
  MOECARLO_HOST_DEVICE void add(const std::uint8_t* magnitudes, std::uint32_t channels, std::uint64_t least) {
    for (std::uint32_t j = 0; j < channels; ++j) {
      const bool loaded = magnitudes == nullptr || magnitudes[j] >= least;
      word[j / 64] |= std::uint64_t{loaded ? 1U : 0U} << (j % 64);
    }
  }
  MOECARLO_HOST_DEVICE std::uint32_t count(std::uint32_t channels) const {
    std::uint32_t total = 0;
    for (std::uint32_t w = 0; 64 * w < channels; ++w) total += count_bits(word[w]);
    return total;
  }
  MOECARLO_HOST_DEVICE std::uint32_t count_in(const ChannelMask& other, std::uint32_t channels) const {
    std::uint32_t total = 0;
    for (std::uint32_t w = 0; 64 * w < channels; ++w) total += count_bits(word[w] & other.word[w]);
    return total;
  }
};

/// Of a gate what its token's magnitudes outside a mask are of all of them: what is not computed.
MOECARLO_HOST_DEVICE std::uint64_t dropped_of(std::uint32_t gate, const std::uint8_t* magnitudes,
                                              std::uint32_t channels, const ChannelMask& loaded) {
  std::uint64_t all = 0, dropped = 0;
  for (std::uint32_t j = 0; magnitudes != nullptr && j < channels; ++j) {
    all += magnitudes[j];
    if (!loaded.contains(j)) dropped += magnitudes[j];
  }
  return all > 0 ? gate * dropped / all : 0;
}

/// use(column, gate, magnitudes) of every column that asks for an object, an expert or one of its slices.
template <class Pass, class Use>
MOECARLO_HOST_DEVICE void each_user(const Pass& pass, std::uint32_t object, const Use& use) {
  const std::uint32_t own = object % pass.plan.drafting_experts;
  for (std::uint32_t i = 0; i < pass.columns(); ++i) {
    if (!pass.objects(i).contains(object)) continue;
    pass.each_source(i, [&](std::uint32_t expert, std::uint32_t gate, std::uint32_t token) MOECARLO_INLINED {
      if (expert == own) use(i, gate, pass.magnitudes_of(token));
    });
  }
}

/// Weights that a pass asks for where it does without some channels. `objects`: different ones, slices or whole
/// experts.
template <int Words, class Pass>
MOECARLO_OUTLINED void count_channels(const LayerContext<1>& at, const Cell& cell, const Pass& pass,
                                      const ExpertMask<Words>& objects, std::uint32_t parts_of_object) {
  const PlanView& plan = at.plan;
  const std::uint32_t channels = plan.channels, row = plan.demands[cell.demand].channels - 1;
  const std::uint64_t least = plan.channel_thresholds[std::size_t{row} * at.routing.layers + pass.layer];
  std::uint64_t* const totals = at.union_total(cell, cell.first_demand_count());
  const auto has_a_say = [&](std::uint32_t column) MOECARLO_INLINED {
    return with_demand(plan.demands[cell.demand].rule,
                       [&](auto rule) MOECARLO_INLINED { return decltype(rule)::chooses_channels(pass, column); });
  };
  const auto add_own = [&](ChannelMask& mask, std::uint32_t gate, const std::uint8_t* magnitudes) MOECARLO_INLINED {
    if (gate > 0) mask.add(magnitudes, channels, (least + gate - 1) / gate);
  };
  each_member(objects, [&](std::uint32_t object) MOECARLO_INLINED {
    ChannelMask loaded;
    each_user(pass, object,
              [&](std::uint32_t column, std::uint32_t gate, const std::uint8_t* magnitudes) MOECARLO_INLINED {
                if (has_a_say(column)) add_own(loaded, gate, magnitudes);
              });
    totals[kLoadedParts] += (std::uint64_t{loaded.count(channels)} * parts_of_object + channels / 2) / channels;
    if (object >= plan.drafting_experts) return;
    each_user(pass, object,
              [&](std::uint32_t column, std::uint32_t gate, const std::uint8_t* magnitudes) MOECARLO_INLINED {
                totals[kChannelMassDropped] += dropped_of(gate, magnitudes, channels, loaded);
                if (has_a_say(column)) return;
                ChannelMask wanted;
                add_own(wanted, gate, magnitudes);
                totals[kChannelsWanted] += wanted.count(channels);
                totals[kChannelsCovered] += wanted.count_in(loaded, channels);
              });
  });
}

}  // namespace moecarlo
