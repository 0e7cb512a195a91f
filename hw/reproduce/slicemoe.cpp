#include <fmt/format.h>

#include "hw/machine/task.hpp"
#include "hw/model/model.hpp"
#include "hw/reproduce/published_lines.hpp"
#include "hw/reproduce/reproductions.hpp"

namespace moecarlo::hw {
namespace {

struct SlicemoeConstants {
  System machine;
  double slice_bits = 0, both_least = 0, both_most = 0;
};

SlicemoeConstants read_slicemoe(const Preset& preset) {
  PresetReader reader(preset);
  SlicemoeConstants constants;
  constants.machine = read_system(reader.text("table.machine"));
  constants.slice_bits = reader.positive("slices.bits", "bit");
  constants.both_least = reader.not_negative("requests.both_least", "count");
  constants.both_most = reader.not_negative("requests.both_most", "count");
  reader.finish();
  return constants;
}

/// Seconds or joules of a token's experts where so many of its choices want both slices and the others the upper one,
/// and this share of what is wanted comes from flash.
double cost(const SlicemoeConstants& constants, const Model& model, double both, double misses, bool energy) {
  const System& system = constants.machine;
  const double slice = weights(model.expert) * constants.slice_bits / 8;
  const double bytes = (model.top_k + both) * slice;
  Work work = read(system, system.units.front(), 0, bytes);
  work += read(system, system.units.front(), system.home(), misses * bytes);
  if (energy) return joules_of(system, work, 0);
  return seconds_of(system, work);
}

}  // namespace

/// By bytes alone: whole experts against upper slices with the lower ones of some, at the same share of misses. That
/// slices take less room and so miss less often comes on top, and is what decides; miss rates are not published.
std::vector<ReproducedRow> reproduce_slicemoe(const Preset& preset, const PublishedTables& tables) {
  const SlicemoeConstants constants = read_slicemoe(preset);
  const auto assumed = joined(assumed_of(preset), assumed_of(constants.machine.preset, true));
  constexpr double kMisses = 0.2;  // of both sides alike: ratios do not depend on it but for what DRAM adds
  std::vector<ReproducedRow> rows;
  for (const auto& table : tables) {
    for (const PublishedLine& line : read_published_lines(table, "quantity,model,published")) {
      const Model model = make_model(published_model(table, line.fields[1]));
      Claim claim{line.fields[0], model.name, "ratio", line.number(2, "published")};
      if (claim.quantity.find("warm-up") != std::string::npos) {
        rows.push_back(leave_open(claim, std::nullopt, "what the cache holds without the warm-up is not published"));
        continue;
      }
      const bool energy = claim.quantity.starts_with("energy");
      const double whole = cost(constants, model, model.top_k, kMisses, energy);
      for (const double both : {constants.both_least, constants.both_most}) {
        claim.conditions =
            fmt::format("{}, {:g} of {} choices in both slices, equal share of misses", model.name, both, model.top_k);
        const double ours = whole / cost(constants, model, both, kMisses, energy);
        rows.push_back(leave_open(claim, ours,
                                  fmt::format("miss rates are not published; {:.2f} times as many misses would give it",
                                              ours / claim.published),
                                  assumed));
      }
    }
  }
  return rows;
}

}  // namespace moecarlo::hw
