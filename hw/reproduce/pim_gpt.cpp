#include <fmt/format.h>

#include "hw/plan/mean_time.hpp"
#include "hw/reproduce/published_lines.hpp"
#include "hw/reproduce/reproductions.hpp"
#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {
namespace {

constexpr const char* kPimGptHeader = "quantity,against,model,published";

/// One step at batch 1, weights whole and near.
Done step_of(const System& system, const Model& model, std::uint32_t context) {
  TargetPass pass;
  pass.layers.kept_bits = model.dense_format.bits;
  return at_means(system, model, target_pass(system, model, {context, 1, 0, 8}, pass), {});
}

/// Bytes that leave or enter the memory of a step: all weights, keys and values; or each matrix's activations, inputs
/// to every channel.
double moved_by_weights(const Model& model, std::uint32_t context) {
  return dense_bytes(model) + request_bytes(model, context);
}
double moved_by_activations(const Model& model, double channels, double bytes_of_one) {
  const auto vectors = [&](const std::vector<Matrix>& matrices) {
    double values = 0;
    for (const Matrix& matrix : matrices) values += channels * matrix.inputs + matrix.outputs;
    return values;
  };
  double values = vectors({model.lm_head()});
  for (const LayerKind& kind : model.layers)
    values += kind.count * (vectors(kind.mixer.matrices) + vectors(kind.dense));
  return values * bytes_of_one;
}

}  // namespace

/// Ratios of the machine model: the other machines at what their memories give, which their published times are far
/// from.
std::vector<ReproducedRow> reproduce_pim_gpt(const Preset& constants, const PublishedTables& tables) {
  PresetReader reader(constants);
  const System own = read_system(reader.text("table.machine"));
  const std::uint32_t context = reader.count("table.context");
  const double channels = reader.count("table.channels"), bits = reader.positive("table.activation_bits", "bit");
  reader.finish();
  std::vector<ReproducedRow> rows;
  for (const auto& table : tables) {
    for (const PublishedLine& line : read_published_lines(table, kPimGptHeader)) {
      const std::string& what = line.fields[0];
      const Model model = make_model(published_model(table, line.fields[2]));
      const std::string against = line.fields[1];
      Claim claim{
          what,
          fmt::format("{}{}{}, batch 1, {} tokens", model.name, against.empty() ? "" : " against ", against, context),
          "ratio", line.number(3, "published")};
      const Done pim = step_of(own, model, context);
      if (what.starts_with("I/O")) {
        rows.push_back(leave_open(
            claim, moved_by_weights(model, context) / moved_by_activations(model, channels, bits / bits_per_byte),
            "which models and contexts the ends of the range are is not published", assumed_of(constants)));
        continue;
      }
      const System other = read_system(against);
      const Done theirs = step_of(other, model, context);
      const bool speed = what.starts_with("speed");
      const double ours = speed ? theirs.seconds / pim.seconds
                                : joules_of(other, theirs.work, theirs.seconds) / joules_of(own, pim.work, pim.seconds);
      rows.push_back(leave_open(
          claim, ours,
          speed ? fmt::format("the other side's times are not published; they would be {:.2g} of its memory's rate",
                              ours / claim.published)
                : "the table of currents of the memory was not seen, nor the other side's power",
          joined(assumed_of(constants), joined(assumed_of(own.preset, true), assumed_of(other.preset, true)))));
    }
  }
  return rows;
}

}  // namespace moecarlo::hw
