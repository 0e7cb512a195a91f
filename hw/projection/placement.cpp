#include "hw/projection/placement.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "host/support/error.hpp"

namespace moecarlo::hw {
namespace {

Capacity spread(double slots, const Model& model, std::uint32_t trace_layers) {
  if (model.is_dense()) return {};
  const double scaled = std::floor(slots * trace_layers / model.moe_layers);
  const auto total = static_cast<std::uint64_t>(scaled);
  const auto base = static_cast<std::uint32_t>(total / trace_layers);
  return {base, static_cast<std::uint32_t>(total % trace_layers)};
}

bool reads_slices(const System& system) {
  return !system.reads_per_row && system.misses.there == 0 && !(system.helper && system.helper->splits_experts);
}

ItemKind kind_of_dense(const System& system) {
  if (system.dense_weights.spill) return ItemKind::spills;
  return system.dense_at_home() ? ItemKind::stays : ItemKind::pinned;
}

/// Autoregressive decoding, then drafting at every number of bits that matters.
std::vector<Demand> demands_at(const System& system, const Scheme& scheme, const Model& model, Serving serving,
                               std::span<const std::uint32_t> bits, std::uint32_t trace_layers) {
  constexpr std::array<std::uint32_t, 1> whole{8};
  std::vector<Demand> modes;
  const auto add = [&](bool drafting, std::uint32_t kept) {
    serving.depth = drafting ? 1 : 0;
    serving.bits = kept;
    const Placement placement = place(system, scheme, model, serving, trace_layers);
    modes.push_back({system.name, scheme.name, serving.batch, drafting, kept, placement.capacity, placement.nearer});
  };
  add(false, 8);
  if (!scheme.drafts) return modes;
  for (const std::uint32_t kept : scheme.uses_bits ? bits : std::span<const std::uint32_t>(whole)) add(true, kept);
  return modes;
}

}  // namespace

Placement place(const System& system, const Scheme& scheme, const Model& model, const Serving& serving,
                std::uint32_t trace_layers) {
  if (!applies(scheme, system))
    fail(ErrorKind::usage, "{} on {}: the scheme needs a tier before the last", scheme.name, system.name);
  if (scheme.slices && !reads_slices(system)) {
    fail(ErrorKind::usage,
         "{} on {}: slices of experts are objects for machines whose first unit computes and shares what it reads "
         "(expected none that splits experts, computes what misses elsewhere or reads for each token)",
         scheme.name, system.name);
  }
  if (serving.bits < 1 || serving.bits > 8)
    fail(ErrorKind::usage, "bits: out of range (expected 1 to 8, found {})", serving.bits);
  if (trace_layers == 0 && !model.is_dense())
    fail(ErrorKind::usage, "{}: the trace has no layer (expected at least one)", model.name);
  const Model stored = scheme.stored ? scheme.stored(model) : model;
  std::vector<Item> items{
      {kDenseWeights, kind_of_dense(system), dense_bytes(stored), dense_bytes(stored) + embedding_bytes(stored)},
      {"KV cache", ItemKind::pinned, request_bytes(model, serving.context) * serving.batch}};
  for (const Item& item : scheme.items(model, serving)) items.push_back(item);
  Placement placement =
      place_items(system, items, fmt::format("{} on {} with {}", model.name, system.name, scheme.name));
  placement.capacity = spread(placement.slots, model, trace_layers);
  for (std::size_t t = 0; t + 1 < placement.slots_by_tier.size(); ++t)
    placement.nearer.push_back(spread(placement.slots_by_tier[t], model, trace_layers));
  return placement;
}

Demands demands(std::span<const System> systems, std::span<const Scheme> schemes, const Model& model,
                const Context& context, std::span<const std::uint32_t> batches, std::span<const std::uint32_t> bits,
                std::uint32_t trace_layers) {
  Demands all;
  for (const System& system : systems)
    for (const Scheme& scheme : schemes) {
      if (!applies(scheme, system)) {
        all.left_out.push_back(
            {system.name,
             scheme.name,
             {},
             fmt::format("scheme {} does not apply to system {}, which has a single tier", scheme.name, system.name)});
        continue;
      }
      for (const std::uint32_t batch : batches) {
        try {
          const auto modes = demands_at(system, scheme, model, {context, batch, 0, 8}, bits, trace_layers);
          all.possible.insert(all.possible.end(), modes.begin(), modes.end());
        } catch (const Error& error) {
          if (error.kind() != ErrorKind::usage) throw;
          all.left_out.push_back({system.name, scheme.name, batch, error.what()});
        }
      }
    }
  return all;
}

}  // namespace moecarlo::hw
