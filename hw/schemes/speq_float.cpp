#include "host/support/error.hpp"
#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {
namespace {

Model as_float16(Model model) {
  if (model.dense_format.coded_share != 1 || model.dense_format.operations_share != 1)
    fail(ErrorKind::usage, "speq-fp16: its weights are remapped (expected no coding of weights behind it)");
  WeightFormat format;
  format.bits = 16;
  format.group_size = 1;
  format.scale_bits = 0;
  format.short_floats = true;
  model.dense_format = model.expert_format = format;
  return model;
}

}  // namespace

/// As speq, on other weights and with bits of its own: their number is the paper's, not the study's.
Scheme speq_float(const Preset& constants) {
  PresetReader reader(constants);
  const std::uint32_t bits = reader.count("draft.bits");
  reader.finish();
  const auto with_bits = [bits](Serving serving) {
    serving.bits = bits;
    return serving;
  };
  const Scheme integers = speq();
  Scheme scheme = integers;
  scheme.name = "speq-fp16";
  scheme.uses_bits = false;
  scheme.preset = constants;
  scheme.stored = as_float16;
  scheme.items = [items = integers.items, with_bits](const Model& model, const Serving& serving) {
    return items(as_float16(model), with_bits(serving));
  };
  scheme.verification = [verification = integers.verification, with_bits](const Model& model, const Serving& serving,
                                                                          const Placement& placement) {
    return verification(as_float16(model), with_bits(serving), placement);
  };
  scheme.plan = [plan = integers.plan, with_bits](const System& system, const Model& model, const Serving& serving,
                                                  const Placement& placement) {
    return plan(system, as_float16(model), with_bits(serving), placement);
  };
  return scheme;
}

}  // namespace moecarlo::hw
