#include <fmt/format.h>

#include "hw/plan/mean_time.hpp"
#include "hw/reproduce/published_lines.hpp"
#include "hw/reproduce/reproductions.hpp"
#include "hw/reproduce/round_times.hpp"
#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {
namespace {

constexpr const char* kMirrorHeader = "quantity,model,published";

struct MirrorConstants {
  System machine;
  double depth = 0, draft_share = 0, rendezvous = 0, prefix = 0, tokens_per_step = 0, tokens = 0;
  std::vector<double> reuse;  ///< swept
};

MirrorConstants read_mirror(const Preset& preset) {
  PresetReader reader(preset);
  MirrorConstants constants;
  constants.machine = read_system(reader.text("table.machine"));
  constants.depth = reader.count("draft.depth");
  constants.draft_share = reader.share("draft.step");
  constants.tokens_per_step = reader.count("draft.tokens_per_step");
  constants.rendezvous = reader.not_negative("link.rendezvous", "us");
  constants.prefix = reader.share("verify.prefix");
  for (const std::string& name : reader.names("reuse"))
    constants.reuse.push_back(reader.share_or_none("reuse." + name));
  constants.tokens = reader.positive("verify.tokens", "count");
  reader.finish();
  return constants;
}

}  // namespace

/// By the paper's equations 5 and 10, with device times that nobody published.
std::vector<ReproducedRow> reproduce_mirror_sd(const Preset& preset, const PublishedTables& tables) {
  const MirrorConstants constants = read_mirror(preset);
  std::vector<ReproducedRow> rows;
  for (const auto& table : tables) {
    for (const PublishedLine& line : read_published_lines(table, kMirrorHeader)) {
      const std::string& what = line.fields[0];
      const Model model = make_model(in_bits(published_model(table, line.fields[1]), 16));
      TargetPass pass;
      pass.layers.kept_bits = model.dense_format.bits;
      const double step =
          at_means(constants.machine, model, target_pass(constants.machine, model, {0, 1, 0, 8}, pass), {}).seconds;
      const TwoDeviceRound round{constants.depth,  constants.draft_share * step, step, constants.rendezvous,
                                 constants.prefix, constants.tokens_per_step};
      const bool over_serial = what.starts_with("over EAGLE-3");
      for (const double reuse : constants.reuse) {
        const double mirrored = stated_seconds(mirrored_round(round, reuse));
        const double ours =
            over_serial ? stated_seconds(serial_round(round)) / mirrored : speed_up(constants.tokens, step, mirrored);
        rows.push_back(
            leave_open({what, fmt::format("{} in 16 bits on {}, reuse {:g}", model.name, constants.machine.name, reuse),
                        "ratio", line.number(2, "published")},
                       ours, "device times, tokens a round and the chance of reuse are not published",
                       joined(assumed_of(preset), assumed_of(constants.machine.preset, true))));
      }
    }
  }
  return rows;
}

}  // namespace moecarlo::hw
