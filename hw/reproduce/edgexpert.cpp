#include <fmt/format.h>

#include <cmath>

#include "hw/plan/mean_time.hpp"
#include "hw/projection/placement.hpp"
#include "hw/reproduce/published_lines.hpp"
#include "hw/reproduce/reproductions.hpp"
#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {
namespace {

struct EdgexpertConstants {
  System machine;
  Model model;
  double experts = 0, accepted = 0, retention = 0, kept = 0;
  double recall = 0, loaded = 0;  ///< of channels: what siblings want and have, and the share that is loaded then
  Serving plain, speculating;
};

EdgexpertConstants read_edgexpert(const Preset& preset) {
  PresetReader reader(preset);
  EdgexpertConstants constants;
  constants.machine = read_system(reader.text("table.machine"));
  const Preset model = read_preset(find_preset("models", reader.text("table.model")));
  constants.model =
      make_model(with_value(in_bits(model, reader.positive("weights.bits", "bit")), "attention.kv_bits", 8));
  constants.plain = {reader.count("context.tokens"), 1, 0, 8, 1, 1};
  constants.speculating = constants.plain;
  constants.speculating.verify_columns = reader.count("verify.candidates");
  constants.experts = reader.positive("verify.experts", "count");
  constants.accepted = reader.positive("verify.accepted", "count");
  constants.retention = reader.share("siblings.retention");
  constants.kept = reader.share("salient.kept");
  constants.recall = reader.share("channels.recall");
  constants.loaded = reader.share("channels.loaded");
  reader.finish();
  return constants;
}

/// One pass that takes so many experts of a layer, all from external memory.
struct Cost {
  double seconds = 0, joules = 0;
};
Cost step(const EdgexpertConstants& constants, const Serving& serving, double experts) {
  const System& system = constants.machine;
  const Scheme scheme = autoregressive();
  const Placement placement = place(system, scheme, constants.model, serving, constants.model.moe_layers);
  const Done done = at_means(system, constants.model, scheme.plan(system, constants.model, serving, placement).round,
                             {0, experts, 0, 0});
  return {done.seconds, joules_of(system, done.work, done.seconds)};
}

/// At least so many of k kept, each with this chance.
double at_least(double k, double least, double chance) {
  double sum = 0;
  for (int more = 0; least + more <= k; ++more) {
    const double kept = least + more;
    const double ways = std::exp(std::lgamma(k + 1) - std::lgamma(kept + 1) - std::lgamma(k - kept + 1));
    sum += ways * std::pow(chance, kept) * std::pow(1 - chance, k - kept);
  }
  return sum;
}

/// The chance at which that share of pairs keeps at least so many; it grows with it.
double retention_of(double k, double least, double share) {
  double low = 0, high = 1;
  for (int step = 0; step < 50; ++step) {
    const double middle = (low + high) / 2;
    (at_least(k, least, middle) < share ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace

/// By the machine model, from the experts and accepted tokens that the paper states: what speculation costs without its
/// masks. What these save hangs on its salience score, which it does not state.
std::vector<ReproducedRow> reproduce_edgexpert(const Preset& preset, const PublishedTables& tables) {
  const EdgexpertConstants constants = read_edgexpert(preset);
  const auto assumed = joined(assumed_of(preset), assumed_of(constants.machine.preset, true));
  const Cost plain = step(constants, constants.plain, constants.model.top_k);
  const Cost whole = step(constants, constants.speculating, constants.experts);
  const Cost salient = step(constants, constants.speculating, constants.kept * constants.experts);
  Serving with_channels = constants.speculating;
  with_channels.asked.weights = constants.loaded;
  const Cost channels = step(constants, with_channels, constants.kept * constants.experts);
  const std::string on = fmt::format("{} in 4 bits, {:g} experts a step", constants.model.name, constants.experts);
  std::vector<ReproducedRow> rows;
  for (const auto& table : tables) {
    for (const PublishedLine& line : read_published_lines(table, "quantity,published")) {
      Claim claim{line.fields[0], on, "ratio", line.number(1, "published")};
      if (claim.quantity.starts_with("energy of a token")) {
        for (const double tokens : {constants.accepted, constants.accepted + 1}) {
          claim.conditions = fmt::format("{}, {:g} tokens a round", on, tokens);
          rows.push_back(leave_open(claim, whole.joules / tokens / plain.joules,
                                    "energy of its memory and of its draft, and whether the accepted tokens hold the "
                                    "free one, are not published",
                                    assumed));
        }
      } else if (claim.quantity.starts_with("time per output token")) {
        claim.unit = "ms";
        claim.conditions += fmt::format(", {:g} of their channels", constants.loaded);
        rows.push_back(compare_floor(claim, 1e3 * channels.seconds / (constants.accepted + 1), assumed,
                                     "by experts and channels of those that decide"));
      } else if (claim.quantity.starts_with("channels of accepted tokens")) {
        claim.conditions =
            fmt::format("siblings of a small trained model, {:g} of the channels loaded", constants.loaded);
        rows.push_back(leave_open(claim, constants.recall,
                                  "its threshold is set so that this holds, and the salience score is not published",
                                  assumed));
      } else if (claim.quantity.starts_with("pairs of siblings")) {
        claim.conditions =
            fmt::format("each of top-{} is kept with chance {:g}", constants.model.top_k, constants.retention);
        rows.push_back(compare(claim, at_least(constants.model.top_k, 3, constants.retention), 0.05, assumed,
                               fmt::format("that retention is fitted to SMoLPU's tree; {:.2f} would give it",
                                           retention_of(constants.model.top_k, 3, claim.published))));
      } else if (claim.quantity.starts_with("latency saved,") || claim.quantity.starts_with("energy saved,")) {
        const bool latency = claim.quantity.starts_with("latency"), most = claim.quantity.ends_with("most");
        const Cost& left = most ? channels : salient;
        rows.push_back(leave_open(claim, 1 - (latency ? left.seconds / whole.seconds : left.joules / whole.joules),
                                  most ? "ours is of experts that only siblings want, and of channels at the recall "
                                         "that it aims at; its score is not published"
                                       : "ours is of experts that only siblings want",
                                  assumed));
      } else {
        rows.push_back(
            leave_open(claim, std::nullopt, "its thresholds, or what it is compared with, are not published"));
      }
    }
  }
  return rows;
}

}  // namespace moecarlo::hw
