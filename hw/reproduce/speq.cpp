#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "hw/reproduce/published_lines.hpp"
#include "hw/reproduce/reproductions.hpp"
#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {
namespace {

constexpr const char* kSpeqHeader = "quantity,published";

struct Best {
  double speed = 1;
  std::uint32_t depth = 0;
};

/// Speed over reading all bits for every token: drafts read a share of them, a verification all.
Best best_depth(double acceptance, double share, std::uint32_t most) {
  Best best;
  for (std::uint32_t depth = 1; depth <= most; ++depth) {
    const double tokens = (1 - std::pow(acceptance, depth + 1)) / (1 - acceptance);
    const double speed = tokens / (1 + depth * share);
    if (speed > best.speed) best = {speed, depth};
  }
  return best;
}

}  // namespace

/// The roof of reading weights alone: keys and values, operations and the remap leave less.
std::vector<ReproducedRow> reproduce_speq(const Preset& constants, const PublishedTables& tables) {
  const Preset scheme = find_scheme("speq-fp16").preset;
  PresetReader own(scheme);
  const double kept = own.count("draft.bits");
  PresetReader reader(constants);
  const double bits = reader.count("weights.bits"), acceptance = reader.share("draft.acceptance");
  const std::uint32_t most = reader.count("draft.most");
  reader.finish();
  const Best floats = best_depth(acceptance, kept / bits, most);
  constexpr double int8_bits = 8.5, int8_kept = 4.5;  // groups of 32 with a 16-bit scale: scheme speq
  const Best integers = best_depth(acceptance, int8_kept / int8_bits, most);
  std::vector<ReproducedRow> rows;
  for (const auto& table : tables) {
    for (const PublishedLine& line : read_published_lines(table, kSpeqHeader)) {
      Claim claim{line.fields[0],
                  fmt::format("roof of weights alone: {:g} of {:g} bits draft, depth {}", kept, bits, floats.depth),
                  "ratio", line.number(1, "published")};
      if (claim.quantity != "speed over FP16") {
        claim.conditions = "an accelerator whose speed is not published";
        rows.push_back(leave_open(claim, std::nullopt, "the speed of the other accelerator is not published"));
        continue;
      }
      rows.push_back(
          compare_roof(claim, floats.speed, assumed_of(constants), "it is above what reading weights allows"));
      claim.conditions = fmt::format("roof of scheme speq, over INT8: {:g} of {:g} bits draft, depth {}", int8_kept,
                                     int8_bits, integers.depth);
      rows.push_back(leave_open(claim, integers.speed, "another form than the published one, which is over FP16",
                                assumed_of(constants)));
    }
  }
  return rows;
}

}  // namespace moecarlo::hw
