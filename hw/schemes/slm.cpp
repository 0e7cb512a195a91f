#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {
namespace {

constexpr double bits_per_byte = 8;

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
  double kv_bytes(const Serving& serving) const {
    return 2 * layers * kv_width * kv_bits / bits_per_byte * serving.context * serving.batch;
  }
};

Phase draft(const System& system, const Serving& serving, const Drafter& drafter, const Placement& placement) {
  const Work work = compute(system, drafter.matrices(), draft_tokens(serving), drafter.format.bits) +
                    read_nearest(system, drafter.read_bytes() + drafter.kv_bytes(serving), placement.spilled_share);
  Phase phase;
  phase.touches_experts = false;
  phase.fixed.push_back({Component::drafter, 1, work});
  return phase;
}

}  // namespace

Scheme slm(const Preset& constants) {
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
  scheme.name = "slm";
  scheme.drafts = true;
  scheme.preset = constants;
  scheme.storage = [drafter](const Model& model, const Serving& serving) {
    Storage storage = store_whole_experts(model, drafter.kept_bytes() + drafter.kv_bytes(serving));
    storage.home_bytes = drafter.kept_bytes();
    storage.may_spill = true;
    return storage;
  };
  scheme.plan = [drafter](const System& system, const Model& model, const Serving& serving,
                          const Placement& placement) {
    Plan plan = plan_autoregressive(system, model, serving);
    if (serving.depth > 0) plan.draft = draft(system, serving, drafter, placement);
    return plan;
  };
  return scheme;
}

}  // namespace moecarlo::hw
