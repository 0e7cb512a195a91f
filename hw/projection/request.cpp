#include "hw/projection/request.hpp"

#include "host/support/error.hpp"
#include "hw/projection/placement.hpp"
#include "hw/schemes/prefill.hpp"

namespace moecarlo::hw {
namespace {

/// So many bytes of partial sums of each layer, written to home and read back.
Pass partial_sums_out(const System& system, const Model& model, double bytes) {
  Task task;
  if (bytes > 0) {
    task.own = write(system, system.home(), bytes);
    task.own += read(system, system.units.front(), system.home(), bytes);
  }
  return {Part{RoundPart::verify_experts, static_cast<double>(model.moe_layers), task}};
}

}  // namespace

std::uint32_t partial_sum_slots(const Model& model, double memory_bytes, double bits) {
  return static_cast<std::uint32_t>(memory_bytes / (model.hidden * bits / 8));
}

RequestCost cost_of(const System& system, const Scheme& scheme, const Model& model, Request request,
                    const RequestCounts& counts) {
  const std::vector<PromptChunk> chunks = chunks_of(request.prompt, request.chunk);
  if (counts.chunks.size() != chunks.size())
    fail(ErrorKind::usage, "request: counts of other chunks (expected {}, found {})", chunks.size(),
         counts.chunks.size());
  if (!counts.spills.empty() && counts.spills.size() != chunks.size())
    fail(ErrorKind::usage, "request: spills of other chunks (expected {}, found {})", chunks.size(),
         counts.spills.size());
  request.serving.context = request.prompt + request.output / 2;
  const Placement placement = place(system, scheme, model, request.serving, model.moe_layers);
  RequestCost cost;
  Done all;
  for (std::size_t c = 0; c < chunks.size(); ++c) {
    const Pass pass = prefill_pass(system, scheme, model, request.serving, placement, chunks[c]);
    const double spilled = counts.spills.empty() ? 0 : counts.spills[c] * request.partial_sum_bytes;
    const Done done = at_means(system, model, then({pass, partial_sums_out(system, model, spilled)}), counts.chunks[c]);
    all.seconds += done.seconds;
    all.work += done.work;
  }
  cost.time_to_first_token = all.seconds;
  const Done round =
      at_means(system, model, scheme.plan(system, model, request.serving, placement).round, counts.round);
  cost.time_per_output_token = round.seconds / request.tokens_per_round;
  const double rounds = request.output / request.tokens_per_round;
  all.work += rounds * round.work;
  cost.seconds = all.seconds + rounds * round.seconds;
  cost.joules = joules_of(system, all.work, cost.seconds);
  return cost;
}

}  // namespace moecarlo::hw
