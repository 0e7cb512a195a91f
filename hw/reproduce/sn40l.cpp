#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "hw/machine/task.hpp"
#include "hw/model/model.hpp"
#include "hw/reproduce/model_switching.hpp"
#include "hw/reproduce/published_lines.hpp"
#include "hw/reproduce/reproductions.hpp"

namespace moecarlo::hw {
namespace {

constexpr const char* kSn40lHeader = "quantity,against,published";

struct Sn40lConstants {
  System own;
  Model model;
  double experts = 0, most_experts = 0, tokens = 0, tolerance = 0;
};

Sn40lConstants read_sn40l(const Preset& preset) {
  PresetReader reader(preset);
  Sn40lConstants constants;
  constants.own = read_system(reader.text("table.machine"));
  constants.model = read_model(reader.text("table.model"));
  constants.experts = reader.count("composition.experts");
  constants.most_experts = reader.count("composition.most_experts");
  constants.tokens = reader.count("request.tokens");
  constants.tolerance = reader.share("table.tolerance");
  reader.finish();
  return constants;
}

/// The tier that models are kept in while they are used.
const Tier& working_tier(const System& system) {
  return system.tiers[system.near_dense()];
}

double whole_models(const System& system, double bytes) {
  return std::floor(working_tier(system).capacity_bytes / bytes);
}

/// A request to one of the models, any of them as likely as any other: it is copied unless it was among the last that
/// fit, then every token reads it whole; nothing overlaps.
double request_seconds(const Sn40lConstants& constants, const System& system) {
  const double bytes = stored_bytes(constants.model);
  const double held = std::min(1.0, whole_models(system, bytes) / constants.experts);
  const double step =
      seconds_of(system, read(system, system.units.front(), system.near_dense(), dense_bytes(constants.model)));
  return (1 - held) * switch_seconds(system, bytes) + constants.tokens * step;
}

}  // namespace

std::vector<ReproducedRow> reproduce_sn40l(const Preset& preset, const PublishedTables& tables) {
  const Sn40lConstants constants = read_sn40l(preset);
  const double bytes = stored_bytes(constants.model);
  std::vector<ReproducedRow> rows;
  for (const auto& table : tables) {
    for (const PublishedLine& line : read_published_lines(table, kSn40lHeader)) {
      const std::string &what = line.fields[0], &against = line.fields[1];
      const Claim claim{what,
                        against.empty()
                            ? constants.model.name
                            : fmt::format("{}, {} against {}", constants.model.name, constants.own.name, against),
                        "ratio", line.number(2, "published")};
      if (what == "switching") {
        const System other = read_system(against);
        rows.push_back(compare(claim, switch_seconds(other, bytes) / switch_seconds(constants.own, bytes),
                               constants.tolerance, {}, "overlap of copies is not published"));
      } else if (what == "footprint") {
        const System other = read_system(against);
        const double needed = std::ceil(constants.most_experts / whole_models(other, bytes));
        rows.push_back(compare(claim, needed, constants.tolerance, {}, "what else lies in memory is not published"));
      } else if (what == "overall") {
        const System other = read_system(against);
        rows.push_back(leave_open(claim, request_seconds(constants, other) / request_seconds(constants, constants.own),
                                  "the mix of requests, their tokens and the overlap of copies are not published",
                                  assumed_of(preset)));
      } else {
        rows.push_back(leave_open(claim, std::nullopt, "graphs of fused operators are not modelled"));
      }
    }
  }
  return rows;
}

}  // namespace moecarlo::hw
