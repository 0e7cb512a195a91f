#include <fmt/format.h>

#include <map>

#include "hw/reproduce/published_lines.hpp"
#include "hw/reproduce/reproductions.hpp"

namespace moecarlo::hw {
namespace {

struct SpecmoeConstants {
  double depth = 0, verify = 0;
  std::map<std::string, double> hottest;  ///< by model
};

SpecmoeConstants read_specmoe(const Preset& preset) {
  PresetReader reader(preset);
  SpecmoeConstants constants;
  constants.depth = reader.count("draft.tokens");
  constants.verify = reader.positive("verify.cost", "count");
  for (const std::string& model : reader.names("hottest")) constants.hottest[model] = reader.share("hottest." + model);
  reader.finish();
  return constants;
}

/// The acceptance of each draft token, given those before it, of so many tokens a round, the last one free:
/// 1 + a + ... + a^depth. By halves: the sum grows with a.
double acceptance_of(double tokens, double depth) {
  double low = 0, high = 1;
  for (int step = 0; step < 60; ++step) {
    const double middle = (low + high) / 2;
    double sum = 0, power = 1;
    for (int i = 0; i <= static_cast<int>(depth); ++i, power *= middle) sum += power;
    (sum < tokens ? low : high) = middle;
  }
  return (low + high) / 2;
}

/// Of steps of decoding: the rounds' tokens over ten steps of the draft and a verification. `best`: the most tokens a
/// round that are published.
ReproducedRow speed_row(const SpecmoeConstants& constants, const Claim& claim, double best,
                        const std::vector<std::string>& assumed) {
  if (best == 0) return leave_open(claim, std::nullopt, "no tokens a round are published beside it");
  const double step = (best / claim.published - constants.verify) / constants.depth;
  return leave_open(claim, best / constants.verify,
                    fmt::format("what a draft step costs is not published; ours is of free drafts, {:.3f} of a step "
                                "of decoding each would give it",
                                step),
                    assumed);
}

}  // namespace

/// What is counted of its traffic is how popular the hottest experts are; tokens a round hang on NLLB-MoE's own
/// routing, of which there is no trace, and speeds on the cost of its draft.
std::vector<ReproducedRow> reproduce_specmoe(const Preset& preset, const PublishedTables& tables) {
  const SpecmoeConstants constants = read_specmoe(preset);
  std::vector<ReproducedRow> rows;
  for (const auto& table : tables) {
    const std::vector<PublishedLine> lines = read_published_lines(table, "quantity,case,published");
    double best = 0;
    for (const PublishedLine& line : lines) {
      if (line.fields[0] == "tokens a round") best = std::max(best, line.number(2, "published"));
    }
    for (const PublishedLine& line : lines) {
      Claim claim{line.fields[0], line.fields[1], "ratio", line.number(2, "published")};
      if (claim.quantity == "tokens a round") {
        claim.unit = "tokens";
        rows.push_back(leave_open(claim, std::nullopt,
                                  fmt::format("no trace of its routing is published; an acceptance of {:.3f} for each "
                                              "of {:g} draft tokens gives it",
                                              acceptance_of(claim.published, constants.depth), constants.depth)));
      } else if (claim.quantity == "speed-up") {
        rows.push_back(speed_row(constants, claim, best, assumed_of(preset)));
      } else if (const auto known = constants.hottest.find(claim.conditions); known != constants.hottest.end()) {
        claim.unit = "share";
        rows.push_back(compare(claim, known->second, 0.05, {}, "another text"));
      } else {
        claim.unit = "share";
        rows.push_back(leave_open(claim, std::nullopt, "no trace of its routing is published"));
      }
    }
  }
  return rows;
}

}  // namespace moecarlo::hw
