#include <fmt/format.h>

#include "hw/projection/request.hpp"
#include "hw/reproduce/published_lines.hpp"
#include "hw/reproduce/reproductions.hpp"

namespace moecarlo::hw {
namespace {

constexpr const char* kSmolpuHeader = "model,baseline_mj_per_token,smolpu_mj_per_token";

struct SmolpuConstants {
  System machine;
  Request request;
  double union_share = 0;
};

SmolpuConstants read_smolpu(const Preset& preset) {
  PresetReader reader(preset);
  SmolpuConstants constants;
  constants.machine = read_system(reader.text("table.machine"));
  constants.request.prompt = reader.count("request.prompt");
  constants.request.chunk = reader.count("request.chunk");
  constants.request.output = reader.count("request.output");
  constants.request.tokens_per_round = reader.positive("verify.tokens", "count");
  constants.request.serving = {0, 1, 0, 8, 1, reader.count("verify.candidates")};
  constants.union_share = reader.share("verify.union");
  reader.finish();
  return constants;
}

/// Millijoules of an output token: prompt and all rounds, the draft head left out.
double request_mj(const SmolpuConstants& constants, const Preset& model_preset, double bits) {
  const Model model = make_model(with_value(in_bits(model_preset, bits), "attention.kv_bits", 16));
  const double touched = constants.union_share * model.experts;
  RequestCounts counts;
  counts.chunks.assign((constants.request.prompt + constants.request.chunk - 1) / constants.request.chunk,
                       {0, static_cast<double>(model.experts), 0, 0});
  counts.round.misses = touched;
  const RequestCost cost = cost_of(constants.machine, autoregressive(), model, constants.request, counts);
  return 1e3 * cost.joules_per_output_token(constants.request);
}

}  // namespace

/// Whole requests of the speculating baseline with weights of 4 and of 8 bits, by the machine model. What the paper's
/// masks save hangs on thresholds that it does not state (demand rules `threshold` and `channels` count them on
/// traces).
std::vector<ReproducedRow> reproduce_smolpu(const Preset& preset, const PublishedTables& tables) {
  const SmolpuConstants constants = read_smolpu(preset);
  const auto assumed = joined(assumed_of(preset), assumed_of(constants.machine.preset, true));
  std::vector<ReproducedRow> rows;
  for (const auto& table : tables) {
    for (const PublishedLine& line : read_published_lines(table, kSmolpuHeader)) {
      const Preset model = published_model(table, line.fields[0]);
      const std::string request =
          fmt::format("{}, {} in, {} out", model.name, constants.request.prompt, constants.request.output);
      for (const double bits : {4.0, 8.0}) {
        rows.push_back(leave_open(
            {"energy of an output token, speculating without masks", fmt::format("{}, {:g}-bit weights", request, bits),
             "mJ", line.number(1, "baseline_mj_per_token")},
            request_mj(constants, model, bits),
            "the tree, the width of weights and the energy of the memory are not published", assumed));
      }
      rows.push_back(
          leave_open({"energy of an output token, with masks", request, "mJ", line.number(2, "smolpu_mj_per_token")},
                     std::nullopt, "thresholds of the masks are not published"));
    }
  }
  return rows;
}

}  // namespace moecarlo::hw
