#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {
namespace {

struct Drafter {
  double layers, hidden, query_width, kv_width, ffn, vocabulary;
  WeightFormat format;
  double kv_bits;

  /// All that a draft step multiplies by. The vocabulary projection shares its weights with the embedding table.
  std::vector<Matrix> matrices() const {
    std::vector<Matrix> all;
    for (int layer = 0; layer < layers; ++layer) {
      const std::vector<Matrix> one{
          {hidden, query_width + 2 * kv_width}, {query_width, hidden}, {hidden, 2 * ffn}, {ffn, hidden}};
      all.insert(all.end(), one.begin(), one.end());
    }
    all.push_back({hidden, vocabulary});
    return all;
  }
  double read_bytes() const { return weights(matrices()) * format.stored_bits() / bits_per_byte; }
  /// The embedding table is kept as well: rows of it are looked up.
  double kept_bytes() const { return read_bytes() + hidden * vocabulary * format.stored_bits() / bits_per_byte; }
  double kv_bytes(const Serving& serving, double context) const {
    return 2 * layers * kv_width * kv_bits / bits_per_byte * context * serving.batch;
  }
};

constexpr const char* kDrafter = "drafter with its KV cache";

/// A small dense model drafts: token by token, or all of a round in one pass.
Scheme small_model(const char* name, const Preset& constants, bool at_once) {
  PresetReader reader(constants);
  Drafter drafter{};
  drafter.layers = reader.count("drafter.layers");
  drafter.hidden = reader.count("drafter.hidden");
  drafter.query_width = reader.count("drafter.query_width");
  drafter.kv_width = reader.count("drafter.kv_width");
  drafter.ffn = reader.count("drafter.ffn");
  drafter.vocabulary = reader.count("drafter.vocabulary");
  drafter.format = read_format(reader, "drafter");
  drafter.kv_bits = reader.positive("drafter.kv_bits", "bit");
  reader.finish();
  Scheme scheme;
  scheme.name = name;
  scheme.drafts = true;
  scheme.preset = constants;
  scheme.items = [drafter](const Model& model, const Serving& serving) {
    return std::vector<Item>{
        {kDrafter, ItemKind::spills, drafter.kept_bytes() + drafter.kv_bytes(serving, serving.context),
         drafter.kept_bytes(), 1, true},
        cached_experts(model, expert_bytes(model))};
  };
  scheme.verification = whole_verification;
  scheme.plan = [drafter, at_once](const System& system, const Model& model, const Serving& serving,
                                   const Placement& placement) {
    Plan plan = plan_autoregressive(system, model, serving, placement);
    if (serving.depth == 0) return plan;
    const OwnDrafter own{drafter.matrices(),
                         drafter.format.bits,
                         drafter.layers,
                         drafter.hidden,
                         drafter.read_bytes() + drafter.kv_bytes(serving, serving.context.mean()),
                         placement.share(kDrafter),
                         at_once ? serving.depth : 1.0};
    const double passes = at_once ? 1 : serving.depth;
    plan.round =
        draft_apart(system, model, serving, times(passes, own_draft(system, serving, own)), std::move(plan.round));
    return plan;
  };
  return scheme;
}

}  // namespace

Scheme slm(const Preset& constants) {
  return small_model("slm", constants, false);
}

Scheme block(const Preset& constants) {
  return small_model("block", constants, true);
}

}  // namespace moecarlo::hw
