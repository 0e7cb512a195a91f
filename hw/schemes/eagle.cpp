#include "host/support/error.hpp"
#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {
namespace {

/// The matrices of the head: three features of the target joined, attention over token and feature side by side, a
/// feed-forward network, the vocabulary.
std::vector<Matrix> head_matrices(const Model& model) {
  const double hidden = model.hidden;
  const DraftHead& head = model.draft_head;
  return {{3 * hidden, hidden},       {2 * hidden, head.query_width + 2 * head.kv_width},
          {head.query_width, hidden}, {hidden, 2 * head.ffn},
          {head.ffn, hidden},         model.lm_head()};
}

struct Head {
  WeightFormat format;
  double kv_bits;

  double bytes(const Model& model) const {
    return weights(head_matrices(model)) * format.stored_bits() / bits_per_byte;
  }
  double kv_bytes(const Model& model, const Serving& serving, double context) const {
    return 2 * model.draft_head.kv_width * kv_bits / bits_per_byte * context * serving.batch;
  }
};

}  // namespace

Scheme eagle(const Preset& constants) {
  PresetReader reader(constants);
  const Head head{read_format(reader, "head"), reader.positive("head.kv_bits", "bit")};
  reader.finish();
  Scheme scheme;
  scheme.name = "eagle";
  scheme.drafts = true;
  scheme.preset = constants;
  scheme.items = [head](const Model& model, const Serving& serving) {
    if (model.draft_head.ffn == 0)
      fail(ErrorKind::usage, "{}: states no draft head (expected a table [draft_head])", model.name);
    return std::vector<Item>{
        {"draft head", ItemKind::pinned, head.bytes(model), head.bytes(model), 1, true},
        {"its KV cache", ItemKind::pinned, head.kv_bytes(model, serving, serving.context), 0, 1, true},
        cached_experts(model, expert_bytes(model))};
  };
  scheme.verification = whole_verification;
  scheme.plan = [head](const System& system, const Model& model, const Serving& serving, const Placement& placement) {
    Plan plan = plan_autoregressive(system, model, serving, placement);
    if (serving.depth == 0) return plan;
    const OwnDrafter drafter{head_matrices(model),
                             head.format.bits,
                             1,
                             model.hidden,
                             head.bytes(model) + head.kv_bytes(model, serving, serving.context.mean()),
                             1};
    plan.round = draft_apart(system, model, serving, times(serving.depth, own_draft(system, serving, drafter)),
                             std::move(plan.round));
    return plan;
  };
  return scheme;
}

}  // namespace moecarlo::hw
