#include "hw/projection/request.hpp"

#include "host/support/error.hpp"
#include "hw/projection/placement.hpp"
#include "hw/schemes/prefill.hpp"

namespace moecarlo::hw {

RequestCost cost_of(const System& system, const Scheme& scheme, const Model& model, Request request,
                    const RequestCounts& counts) {
  const std::vector<PromptChunk> chunks = chunks_of(request.prompt, request.chunk);
  if (counts.chunks.size() != chunks.size())
    fail(ErrorKind::usage, "request: counts of other chunks (expected {}, found {})", chunks.size(),
         counts.chunks.size());
  request.serving.context = request.prompt + request.output / 2;
  const Placement placement = place(system, scheme, model, request.serving, model.moe_layers);
  RequestCost cost;
  Done all;
  for (std::size_t c = 0; c < chunks.size(); ++c) {
    const Pass pass = prefill_pass(system, scheme, model, request.serving, placement, chunks[c]);
    const Done done = at_means(system, model, pass, counts.chunks[c]);
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
