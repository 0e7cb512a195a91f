#include "cuda/lru_grid_shape.hpp"

#include <algorithm>
#include <bit>

#include "cuda/core/features.hpp"
#include "cuda/core/lru_grid.hpp"
#include "cuda/launch_plan.hpp"

namespace moecarlo {
namespace {

constexpr Features kServed = features(Feature::several_capacities, Feature::resampled_rejections);
constexpr std::uint32_t kMostWarps = kMostLruGridThreads / kStackLanes;
constexpr std::uint32_t kFewestWarps = 4;  // fewer leave a multiprocessor idle
constexpr std::uint32_t kEnoughWarps = 8;  // more are not worth leaving the choices in global memory
constexpr std::uint32_t kSlotAndBucketBits = 15;
constexpr std::uint32_t kTurns = 5;  // of a block at most

/// Slots for all passes where they fit a stack of some more than its experts; a longer episode moves them together at
/// times. Nothing where there are not bits enough for the number of a slot.
std::optional<LruStackShape> stack_shape(const PlanView& plan, const Cell& cell, std::uint32_t experts,
                                         std::uint32_t choices) {
  LruStackShape shape;
  shape.experts = experts;
  shape.block = LruStackShape::rounded(std::min(experts, choices));
  const auto bucket_bits = static_cast<std::uint32_t>(std::bit_width(cell.capacity_count));
  if (bucket_bits >= kSlotAndBucketBits) return {};
  shape.bucket_shift = kSlotAndBucketBits - bucket_bits;
  const std::uint32_t most = (1U << shape.bucket_shift) / 8 * 8 - 8;
  const std::uint32_t least = shape.oldest_slots() + shape.block;
  if (shape.bucket_shift < 3 || least > most) return {};
  const std::uint64_t passes = std::uint64_t{plan.warmup} + plan.rounds;
  const std::uint64_t wanted = passes * shape.block + (plan.warm ? shape.oldest_slots() : 0);
  const std::uint32_t fair = std::min(most, least + 2 * shape.oldest_slots());
  if (wanted <= fair) {
    shape.window = static_cast<std::uint32_t>(wanted);
    shape.unwritten = shape.block;
  } else {
    shape.window = fair;
  }
  return shape;
}

}  // namespace

bool is_lru_grid(const PlanView& plan, const Cell& cell, const RoutingView& routing) {
  return serves(kServed, plan, cell, routing) && cell.capacity_count > 1 && routing.experts <= 256 &&
         routing.top_k <= 255 && routing.tokens < LruGridPath::kToken && cell.batch <= kMostLruGridRequests;
}

std::optional<LruGridShape> lru_grid_shape(const PlanView& plan, const Cell& cell, const RoutingView& routing,
                                           std::uint32_t per_launch, std::uint64_t shared_bytes) {
  if (!is_lru_grid(plan, cell, routing)) return {};
  LruGridShape shape;
  shape.capacities = cell.capacity_count;
  shape.top_k = routing.top_k;
  shape.tokens_counted = 255 / routing.top_k;
  shape.period = group_period(plan.groups);
  const auto stack = stack_shape(plan, cell, routing.experts, cell.verified() * cell.batch * routing.top_k);
  if (!stack || per_launch < shape.period || per_launch % shape.period != 0) return {};
  shape.stack = *stack;
  const std::uint64_t passes = std::uint64_t{plan.rounds} * (per_launch / shape.period + 1);
  if (passes * std::max(routing.experts, cell.batch * routing.top_k) > 0xffffffffU) return {};

  shape.choice_bytes = choice_bytes(routing);
  const auto warps_in = [&](bool staged) {
    shape.staged = staged;
    const std::uint64_t fixed = shape.shared_bytes(0);
    if (fixed > shared_bytes) return 0U;
    const std::uint64_t fit = (shared_bytes - fixed) / (std::uint64_t{4} * shape.warp_words());
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(kMostWarps, fit));
  };
  shape.warps = warps_in(true);
  if (shape.warps < kEnoughWarps) shape.warps = warps_in(false);
  if (shape.warps < kFewestWarps) return {};
  return shape;
}

LruGridLaunch lru_grid_launch(const LruGridShape& shape, std::uint32_t count) {
  const auto quotient_up = [](std::uint32_t a, std::uint32_t b) { return (a + b - 1) / b; };
  const std::uint32_t works = quotient_up(quotient_up(count, shape.period), kStackLanes);  // of a warp and turn
  LruGridLaunch launch;
  launch.parts = quotient_up(works, shape.warps * kTurns);
  const std::uint32_t turns = quotient_up(works, launch.parts * shape.warps);
  launch.warps = quotient_up(works, launch.parts * turns);
  return launch;
}

std::vector<std::uint8_t> list_choices(const RoutingView& routing) {
  const auto words = static_cast<std::uint32_t>(mask_words(routing.experts));
  const std::size_t layer_bytes = choice_bytes(routing);
  std::vector<std::uint8_t> lists(layer_bytes * routing.layers, 0);
  const std::uint64_t* mask = routing.masks;
  for (std::uint32_t token = 0; token < routing.tokens; ++token) {
    for (std::uint32_t layer = 0; layer < routing.layers; ++layer, mask += words) {
      std::uint8_t* const list = lists.data() + layer_bytes * layer + std::size_t{token} * routing.top_k;
      std::uint32_t found = 0;
      for (std::uint32_t w = 0; w < words; ++w) {
        for (std::uint64_t rest = mask[w]; rest != 0; rest &= rest - 1) {
          if (found == routing.top_k) return {};
          list[found++] = static_cast<std::uint8_t>(64 * w + lowest_bit(rest));
        }
      }
      if (found != routing.top_k) return {};
    }
  }
  return lists;
}

}  // namespace moecarlo
