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
  Scheme scheme = on_changed(speq(), as_float16, [bits](Serving serving) {
    serving.bits = bits;
    return serving;
  });
  scheme.name = "speq-fp16";
  scheme.uses_bits = false;
  scheme.preset = constants;
  scheme.stored = as_float16;
  return scheme;
}

}  // namespace moecarlo::hw
