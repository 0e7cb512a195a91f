#include <fmt/format.h>

#include <algorithm>

#include "hw/plan/mean_time.hpp"
#include "hw/reproduce/published_lines.hpp"
#include "hw/reproduce/reproductions.hpp"
#include "hw/reproduce/round_times.hpp"
#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {
namespace {

constexpr const char* kDovetailHeader = "quantity,machine,model,bits,card_gigabytes,published";

struct DovetailConstants {
  double blocks = 0, depth = 0, nodes = 0, slope = 0, tokens = 0;
};

DovetailConstants read_dovetail(const Preset& preset) {
  PresetReader reader(preset);
  DovetailConstants constants;
  constants.blocks = reader.count("draft.blocks");
  constants.depth = reader.count("draft.depth");
  constants.nodes = reader.count("verify.nodes");
  constants.slope = reader.share("verify.slope");
  constants.tokens = reader.positive("verify.tokens", "count");
  reader.finish();
  return constants;
}

/// A draft step reads so many of the target's blocks and its LM head, in 16 bits.
double draft_bytes(const Model& model, double blocks) {
  const LayerKind& layer = model.layers.front();
  return 2 * (blocks * (weights(layer.mixer.matrices) + weights(layer.dense)) + model.lm_head().weights());
}

/// One step of the target, keys and values left out: layers that the card has room for beside the draft run there,
/// where `filled`, the others beside the host's memory.
double target_seconds(const DovetailConstants& constants, const System& system, const Model& model, bool filled) {
  const double room = std::max(0.0, system.tiers.front().capacity_bytes - draft_bytes(model, constants.blocks));
  TargetPass pass;
  pass.layers.layers_at_home = filled ? 1 - std::min(1.0, room / dense_bytes(model)) : 1;
  pass.layers.kept_bits = model.dense_format.bits;
  return at_means(system, model, target_pass(system, model, {0, 1, 0, 8}, pass), {}).seconds;
}

TwoDeviceRound dovetail_round(const DovetailConstants& constants, const System& system, const Model& model,
                              double step) {
  const double hidden_bytes = 2 * model.hidden * constants.nodes;
  Work crossing;
  for (const std::uint8_t link : system.misses.link) crossing.add(link, hidden_bytes, 2);
  const double draft = seconds_of(system, read(system, system.units.front(), 0, draft_bytes(model, constants.blocks)));
  return {constants.depth, draft, step * (1 + constants.slope * constants.nodes), seconds_of(system, crossing)};
}

}  // namespace

/// Times of draft and link by bandwidth; the slope of the verification and the tokens of a round, which decide, are
/// assumed. What can be judged is that the host's memory allows the speed without drafting.
std::vector<ReproducedRow> reproduce_dovetail(const Preset& preset, const PublishedTables& tables) {
  const DovetailConstants constants = read_dovetail(preset);
  std::vector<ReproducedRow> rows;
  for (const auto& table : tables) {
    for (const PublishedLine& line : read_published_lines(table, kDovetailHeader)) {
      const std::string& what = line.fields[0];
      const Model model = make_model(in_bits(published_model(table, line.fields[2]), line.number(3, "bits")));
      Preset machine = read_preset(find_preset("systems", line.fields[1]));
      const auto memory = line.number_or_none(4, "card_gigabytes");
      if (memory) machine = with_value(std::move(machine), "vram.capacity", *memory);
      const System system = make_system(std::move(machine));
      const double step = target_seconds(constants, system, model, memory.has_value());
      const double seconds = stated_seconds(serial_round(dovetail_round(constants, system, model, step)));
      const Claim claim{what,
                        fmt::format("{} in {} bits on {}{}", model.name, line.fields[3], system.name,
                                    memory ? fmt::format(", target layers in what is left of {:g} GB", *memory) : ""),
                        what.starts_with("speed-up") ? "ratio" : "token/s", line.number(5, "published")};
      const auto assumed = joined(assumed_of(preset), assumed_of(system.preset, true));
      if (what.starts_with("token/s without drafting")) {
        rows.push_back(compare_roof(claim, 1 / step, assumed, "the memory of the host is not published"));
        continue;
      }
      const double ours =
          what.starts_with("speed-up") ? speed_up(constants.tokens, step, seconds) : constants.tokens / seconds;
      rows.push_back(
          leave_open(claim, ours,
                     fmt::format("tokens a round and the time of a verification by tree size are not published; "
                                 "{:.2g} tokens a round would give it",
                                 constants.tokens * claim.published / ours),
                     assumed));
    }
  }
  return rows;
}

}  // namespace moecarlo::hw
