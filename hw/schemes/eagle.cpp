#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {
namespace {

constexpr double bits_per_byte = 8;

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
  double kv_bytes(const Model& model, const Serving& serving) const {
    return 2 * model.draft_head.kv_width * kv_bits / bits_per_byte * serving.context * serving.batch;
  }
};

Phase draft(const System& system, const Model& model, const Serving& serving, const Head& head) {
  Phase phase;
  phase.touches_experts = false;
  phase.fixed.push_back({Component::drafter, 1,
                         compute(system, head_matrices(model), draft_tokens(serving), head.format.bits) +
                             read_nearest(system, head.bytes(model) + head.kv_bytes(model, serving))});
  return phase;
}

}  // namespace

Scheme eagle(const Preset& constants) {
  PresetReader reader(constants);
  const Head head{read_format(reader, "head"), reader.positive("head.kv_bits", "bit")};
  reader.finish();
  Scheme scheme;
  scheme.name = "eagle";
  scheme.drafts = true;
  scheme.preset = constants;
  scheme.storage = [head](const Model& model, const Serving& serving) {
    Storage storage = store_whole_experts(model, head.bytes(model) + head.kv_bytes(model, serving));
    storage.home_bytes = head.bytes(model);
    return storage;
  };
  scheme.plan = [head](const System& system, const Model& model, const Serving& serving, const Placement&) {
    Plan plan = plan_autoregressive(system, model, serving);
    if (serving.depth > 0) plan.draft = draft(system, model, serving, head);
    return plan;
  };
  return scheme;
}

}  // namespace moecarlo::hw
