#include <fmt/format.h>

#include "host/support/error.hpp"
#include "host/weights/format_figures.hpp"
#include "hw/plan/mean_time.hpp"
#include "hw/projection/placement.hpp"
#include "hw/reproduce/published_lines.hpp"
#include "hw/reproduce/reproductions.hpp"
#include "hw/schemes/coding.hpp"

namespace moecarlo::hw {
namespace {

constexpr const char* kSizesHeader = "model,bf16,dfloat11";
constexpr const char* kClaimsHeader = "quantity,model,memory_gb,published";
constexpr double kGigabyte = 1e9;

double published_code_bits() {
  const Preset preset = coding_constants("dfloat11", nullptr);
  PresetReader reader(preset);
  return reader.positive("dfloat11.code_bits", "bit");
}

ReproducedRow size_row(const PublishedLine& line, double code_bits, double tolerance) {
  const double whole = line.number(1, "bf16");
  return compare(
      {"size of a model", fmt::format("{}, {:g} GB in BF16, exponents of {:g} bits", line.fields[0], whole, code_bits),
       "GB", line.number(2, "dfloat11")},
      whole * dfloat11_bits(code_bits) / 16, tolerance, {}, "its exponents have another entropy");
}

/// The machine with a nearest memory of this size, dense weights beyond it at home.
System machine_of(const std::string& name, double memory_bytes) {
  const System system = read_system(name);
  System sized =
      make_system(with_text(system.preset, system.tiers.front().name + ".capacity", fmt::format("{}B", memory_bytes)));
  sized.dense_weights.spill = true;
  return sized;
}

/// One step at batch 1, no context; what does not fit is copied from the host's memory.
double step_seconds(const System& system, const Scheme& scheme, const Model& model) {
  const Serving serving{0, 1, 0, 8};
  return at_means(system, model, scheme.plan(system, model, serving, place(system, scheme, model, serving, 0)).round,
                  {})
      .seconds;
}

/// Tokens that fit beside the weights.
double tokens_beside(double memory_bytes, const Model& model) {
  return (memory_bytes - dense_bytes(model) - embedding_bytes(model)) / kv_bytes_per_token(model);
}

ReproducedRow claim_row(const PublishedLine& line, const std::filesystem::path& table, const std::string& machine) {
  const Model model = make_model(published_model(table, line.fields[1]));
  const double memory = line.number(2, "memory_gb") * kGigabyte;
  const Scheme plain = autoregressive(), coded = find_scheme("ar+dfloat11");
  const std::string& what = line.fields[0];
  const bool context = what.starts_with("context");
  if (!context && !what.starts_with("speed"))
    fail(ErrorKind::input, "{}: quantity: expected one that begins with context or speed (found '{}')", line.place,
         what);
  const Claim claim{what,
                    fmt::format("{} in {:g} GB{}", model.name, memory / kGigabyte,
                                context ? "" : fmt::format(" of {}, batch 1", machine)),
                    "ratio", line.number(3, "published")};
  if (context) {
    const double before = tokens_beside(memory, model);
    const auto ours = before > 0 ? std::optional(tokens_beside(memory, coded.stored(model)) / before) : std::nullopt;
    return leave_open(claim, ours, "which models and memories the ends of the range are is not published");
  }
  const System system = machine_of(machine, memory);
  return leave_open(claim, step_seconds(system, plain, model) / step_seconds(system, coded, model),
                    "models, memories and batches of the range, and how the other side copies, are not published",
                    assumed_of(system.preset, true));
}

}  // namespace

/// Sizes of the published entropy; and what a smaller model frees and saves on memories of our choice.
std::vector<ReproducedRow> reproduce_dfloat11(const Preset& constants, const PublishedTables& tables) {
  PresetReader reader(constants);
  const std::string machine = reader.text("table.machine");
  const double tolerance = reader.share("sizes.tolerance"), code_bits = published_code_bits();
  reader.finish();
  std::vector<ReproducedRow> rows;
  for (const auto& table : tables) {
    const std::string header = published_header(table);
    if (header != kSizesHeader && header != kClaimsHeader) refuse_table(table, {kSizesHeader, kClaimsHeader});
    for (const PublishedLine& line : read_published_lines(table, header)) {
      rows.push_back(header == kSizesHeader ? size_row(line, code_bits, tolerance) : claim_row(line, table, machine));
    }
  }
  return rows;
}

}  // namespace moecarlo::hw
