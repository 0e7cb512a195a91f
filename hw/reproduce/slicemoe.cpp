#include <fmt/format.h>

#include <map>

#include "hw/machine/task.hpp"
#include "hw/model/model.hpp"
#include "hw/reproduce/published_lines.hpp"
#include "hw/reproduce/reproductions.hpp"

namespace moecarlo::hw {
namespace {

/// Slices for each choice of a token.
struct SliceTraffic {
  double requests = 0, misses = 0;
};

struct SlicemoeConstants {
  System machine;
  double slice_bits = 0, both_least = 0, both_most = 0;
  struct StandIn {
    SliceTraffic whole, slices;
  };
  std::map<std::string, StandIn> counted;  ///< by trace
};

SlicemoeConstants read_slicemoe(const Preset& preset) {
  PresetReader reader(preset);
  SlicemoeConstants constants;
  constants.machine = read_system(reader.text("table.machine"));
  constants.slice_bits = reader.positive("slices.bits", "bit");
  constants.both_least = reader.not_negative("requests.both_least", "count");
  constants.both_most = reader.not_negative("requests.both_most", "count");
  for (const std::string& name : reader.names("whole_misses")) {
    const SliceTraffic whole{2, 2 * reader.share("whole_misses." + name)};
    constants.counted[name] = {
        whole, {reader.positive("slice_requests." + name, "count"), reader.positive("slice_misses." + name, "count")}};
  }
  reader.finish();
  return constants;
}

/// Seconds or joules of a token's experts: every slice that is wanted is read from DRAM, those that miss from flash
/// before.
double cost(const SlicemoeConstants& constants, const Model& model, const SliceTraffic& traffic, bool energy) {
  const System& system = constants.machine;
  const double slice = model.top_k * weights(model.expert) * constants.slice_bits / bits_per_byte;
  Work work = read(system, system.units.front(), 0, traffic.requests * slice);
  work += read(system, system.units.front(), system.home(), traffic.misses * slice);
  return energy ? joules_of(system, work, 0) : seconds_of(system, work);
}

}  // namespace

/// By bytes: whole experts against slices, at the same share of misses, and as both were counted on traces of other
/// models, where slices miss less often because as many bytes hold more of them.
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
      for (const double both : {constants.both_least, constants.both_most}) {
        claim.conditions =
            fmt::format("{}, {:g} of {} choices in both slices, equal share of misses", model.name, both, model.top_k);
        const double requests = 1 + both / model.top_k;
        rows.push_back(leave_open(claim,
                                  cost(constants, model, {2, 2 * kMisses}, energy) /
                                      cost(constants, model, {requests, requests * kMisses}, energy),
                                  "miss rates are not published", assumed));
      }
      for (const auto& [name, traffic] : constants.counted) {
        claim.conditions = fmt::format("{}, misses of {}", model.name, name);
        rows.push_back(leave_open(
            claim, cost(constants, model, traffic.whole, energy) / cost(constants, model, traffic.slices, energy),
            "miss rates are not published, and what it is compared with routes by what is cached; ours are of another "
            "model and an LRU cache",
            assumed));
      }
    }
  }
  return rows;
}

}  // namespace moecarlo::hw
