#include <fmt/format.h>

#include "host/support/error.hpp"
#include "hw/plan/mean_time.hpp"
#include "hw/reproduce/merged_additions.hpp"
#include "hw/reproduce/published_lines.hpp"
#include "hw/reproduce/reproductions.hpp"
#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {
namespace {

constexpr const char* kMcbpHeader = "quantity,condition,published";

struct McbpConstants {
  System chips, other;
  Model model, in_bytes;  ///< in the other machine's 16 bits, and in INT8
  std::uint32_t prompt = 0;
  double set = 0, zeros = 0, columns = 0, raw_planes = 0, tolerance = 0;
  int rows = 0;
};

McbpConstants read_mcbp(const Preset& preset) {
  PresetReader reader(preset);
  McbpConstants own;
  own.chips = with_devices(read_system(reader.text("table.machine")), reader.count("table.chips"));
  own.other = read_system(reader.text("table.other"));
  const Preset model = read_preset(find_preset("models", reader.text("table.model")));
  own.model = make_model(model);
  own.in_bytes = make_model(in_bits(model, 8));
  own.prompt = reader.count("table.prompt");
  own.set = 1 - reader.share("weights.zero_bits");
  own.zeros = reader.share("weights.zeros");
  own.rows = static_cast<int>(reader.count("weights.rows"));
  own.raw_planes = reader.count("weights.raw_planes");
  own.columns = reader.count("weights.columns");
  own.tolerance = reader.share("tolerance.additions");
  reader.finish();
  return own;
}

/// A pass of so many tokens with the prompt behind it.
Done pass_of(const System& system, const Model& model, std::uint32_t context, double tokens) {
  TargetPass pass;
  pass.layers.tokens = tokens;
  pass.layers.kept_bits = model.dense_format.bits;
  return at_means(system, model, target_pass(system, model, {context, 1, 0, 8}, pass), {});
}

void add_machines(const McbpConstants& own, const Claim& claim, const std::vector<std::string>& assumed,
                  std::vector<ReproducedRow>& rows) {
  const bool speed = claim.quantity.starts_with("speed");
  for (const bool prefill : {true, false}) {
    const double tokens = prefill ? own.prompt : 1;
    const Done theirs = pass_of(own.other, own.model, own.prompt, tokens),
               ours = pass_of(own.chips, own.in_bytes, own.prompt, tokens);
    Claim one = claim;
    one.conditions = fmt::format("{}; {}, {}, FP16 beside INT8", claim.conditions, own.model.name,
                                 prefill ? fmt::format("a prompt of {}", own.prompt) : "a step at batch 1");
    rows.push_back(leave_open(
        one,
        speed ? theirs.seconds / ours.seconds
              : joules_of(own.other, theirs.work, theirs.seconds) / joules_of(own.chips, ours.work, ours.seconds),
        "148 chips have 26 times the peak operations and 19 times the bandwidth of the A100 by the "
        "figures of one chip; tasks, batch and how well either is used are not published",
        assumed));
  }
}

/// Additions of every bit, set or not, or less, over merged ones.
ReproducedRow merged_row(const McbpConstants& own, const Claim& claim, const std::vector<std::string>& assumed) {
  const double merged = merged_additions(own.set, own.rows, own.columns);
  const double dense = own.rows * (own.columns - 1);
  constexpr const char* why =
      "the paper's closed form counts set bits where merging needs columns that hold any: 0.76 of them at this "
      "sparsity";
  const std::string& against = claim.conditions;
  if (against == "against value sparsity")
    return compare(claim, (1 - own.zeros) * dense / merged, own.tolerance, assumed, why);
  if (against == "against bits one by one")
    return compare(claim, set_additions(own.set, own.rows, own.columns) / merged, own.tolerance, assumed, why);
  return compare(claim, dense / merged, own.tolerance, assumed);
}

ReproducedRow row_of(const McbpConstants& own, const Claim& claim, const std::string& place,
                     const std::vector<std::string>& assumed) {
  const bool of_int8 = claim.conditions.starts_with("PTQ INT8");
  if (claim.quantity == "additions over merged") return merged_row(own, claim, assumed);
  if (claim.quantity == "additions saved by merging") {
    const double ours = 1 - merged_additions(own.set, own.rows, own.columns) / (own.rows * (own.columns - 1));
    return of_int8 ? compare(claim, ours, own.tolerance, assumed)
                   : leave_open(claim, std::nullopt, "the sparsity of these weights is not published");
  }
  if (claim.quantity == "weight bytes saved by coding") {
    if (claim.conditions == "INT4")
      return leave_open(claim, std::nullopt, "which of four planes are coded is not published");
    constexpr double planes = 8;
    const double least = (own.raw_planes + (planes - own.raw_planes) / own.rows) / planes;  // every coded column empty
    return compare_roof(claim, 1 - least, {},
                        "three planes of eight are raw, so that no INT8 weights save more; 0.71 takes FP16 for the "
                        "baseline, or counts keys and values");
  }
  if (claim.quantity == "operations saved, all of it" || claim.quantity == "bytes saved, all of it")
    return leave_open(claim, std::nullopt, "the shares of weights, keys and values are not published");
  fail(ErrorKind::input, "{}: quantity: no published figure of MCBP has this name (found '{}')", place, claim.quantity);
}

}  // namespace

/// Machines at their roofs, and what merging and coding give by published sparsities.
std::vector<ReproducedRow> reproduce_mcbp(const Preset& preset, const PublishedTables& tables) {
  const McbpConstants own = read_mcbp(preset);
  const auto assumed = assumed_of(preset);
  const auto with_machines =
      joined(assumed, joined(assumed_of(own.chips.preset, true), assumed_of(own.other.preset, true)));
  std::vector<ReproducedRow> rows;
  for (const auto& table : tables) {
    for (const PublishedLine& line : read_published_lines(table, kMcbpHeader)) {
      const Claim claim{line.fields[0], line.fields[1], "ratio", line.number(2, "published")};
      if (claim.quantity == "speed over A100, 148 chips" || claim.quantity == "energy over A100, 148 chips") {
        add_machines(own, claim, with_machines, rows);
      } else {
        rows.push_back(row_of(own, claim, line.place, assumed));
      }
    }
  }
  return rows;
}

}  // namespace moecarlo::hw
