#include "tests/hw/golden_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <sstream>

#include "hw/presets/preset.hpp"
#include "hw/projection/evaluate.hpp"
#include "hw/reproduce/reproduce.hpp"
#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {
namespace {

constexpr std::array<const char*, 7> kSystems{"xpu",    "xpu-pim",     "xpu-logicpim", "xpu-nmp",
                                              "hb-xpu", "elmoe3d-4gb", "elmoe3d-8gb"};
constexpr std::array<const char*, 6> kSchemes{"ar", "elastic", "eagle", "slm", "quant", "speq"};
constexpr std::array<const char*, 5> kModels{"qwen3-30b-a3b", "glm-4.7-flash", "deepseek-v2-lite", "gpt-oss-20b",
                                             "gpt-oss-20b-int8"};
constexpr std::array<std::uint32_t, 5> kBatches{1, 4, 16, 8, 2};
constexpr std::array<std::uint32_t, 10> kDepths{0, 1, 4, 0, 6, 8, 2, 0, 3, 5};
constexpr std::array<std::uint32_t, 3> kBits{4, 8, 3};
constexpr std::uint32_t kContext = 1024;

/// Numbers that look drawn and are the same everywhere.
class Sequence {
 public:
  explicit Sequence(std::uint32_t seed) : state_(seed * 2654435761U + 12345U) {}
  std::uint32_t below(std::uint32_t end) {
    state_ = state_ * 1664525U + 1013904223U;
    return end == 0 ? 0 : (state_ >> 8) % end;
  }

 private:
  std::uint32_t state_;
};

JointCounts made_up(Sequence& sequence, std::uint32_t groups, std::uint32_t slots, std::uint32_t most, bool misses) {
  constexpr std::uint32_t bins = 12;
  std::vector<JointCounts::Entry> entries;
  for (std::uint32_t g = 0; g < groups; ++g) {
    for (std::uint32_t i = 0; i < bins; ++i) {
      const std::uint32_t hits = sequence.below(std::min(slots, most) + 1);
      entries.push_back({g, {hits, misses ? sequence.below(most - hits + 1) : 0}, 1 + sequence.below(9)});
    }
  }
  return {groups, entries};
}

Workload made_up(Sequence& sequence, const Scheme& scheme, const Model& model, const Serving& serving,
                 const Capacity& capacity, std::uint32_t layers) {
  Workload workload;
  workload.batch = serving.batch;
  workload.depth = serving.depth;
  workload.draft_width = serving.draft_width;
  workload.verify_columns = serving.verify_columns;
  workload.policy = "lru";
  workload.capacity = capacity;
  workload.layers = layers;
  workload.top_k = model.top_k;
  workload.groups = 2;
  workload.replicates = 1;
  for (std::uint32_t g = 0; g < 4; ++g) {
    const std::uint32_t rounds = 10 + sequence.below(20);
    workload.counts.push_back({rounds, double(rounds) * serving.batch * (1 + 0.5 * serving.depth)});
  }
  const auto add = [&](std::uint32_t count, std::uint32_t slots) {
    if (count == 0) return;
    LayerClassCounts own;
    own.layers = count;
    own.capacity = slots;
    own.verify = made_up(sequence, 4, slots, std::min(model.experts, model.top_k * 5), true);
    if (serving.depth > 0 && scheme.draft_routing != DraftRouting::none) {
      own.draft = made_up(sequence, 4, slots, model.top_k, scheme.draft_routing == DraftRouting::all);
    }
    for (int g = 0; g < 4; ++g) own.cache_writes.push_back(slots > 0 ? sequence.below(50) : 0);
    workload.classes.push_back(std::move(own));
  };
  add(capacity.extra_layers, capacity.base + 1);
  add(layers - capacity.extra_layers, capacity.base);
  return workload;
}

GoldenRow row_of(const System& system, const Scheme& scheme, std::uint32_t number) {
  const Model model = read_model(kModels.at(number % kModels.size()));
  Serving serving{kContext, kBatches.at(number % kBatches.size()), 0, 8};
  if (scheme.drafts) serving.depth = kDepths.at(number);
  if (serving.depth > 0 && scheme.uses_bits) serving.bits = kBits.at(number % kBits.size());
  if (serving.depth > 0 && number % 2 == 1) serving.draft_width = 3;
  serving.verify_columns = 1 + serving.depth * serving.draft_width;
  const std::uint32_t layers = number % 3 == 2 ? 8 : model.moe_layers;
  const Capacity capacity = place(system, scheme, model, serving, layers).capacity;
  Sequence sequence(number + 1);
  const Workload workload = made_up(sequence, scheme, model, serving, capacity, layers);
  const Projection projection = project(system, scheme, model, kContext, workload, serving.bits);

  GoldenRow row{fmt::format("{} {} {} batch {} depth {} bits {}", system.name, scheme.name, model.name, serving.batch,
                            serving.depth, serving.bits),
                {}};
  row.figures = {{"tokens_per_second", tokens_per_second(projection, workload)},
                 {"joules_per_token", joules_per_token(projection, workload)},
                 {"slots", projection.placement.slots},
                 {"half_seconds", projection.groups.back().seconds},
                 {"half_joules", projection.groups.back().joules}};
  projection.breakdown.for_each(
      [&](std::string_view name, double value) { row.figures.emplace_back(std::string(name), value); });
  return row;
}

}  // namespace

std::vector<GoldenRow> golden_rows() {
  std::vector<GoldenRow> rows;
  for (const char* system_name : kSystems) {
    const System system = read_system(system_name);
    for (const char* scheme_name : kSchemes) {
      const Scheme scheme = find_scheme(scheme_name);
      if (!applies(scheme, system)) continue;
      for (std::uint32_t number = 0; number < 10; ++number) rows.push_back(row_of(system, scheme, number));
    }
  }
  return rows;
}

std::vector<GoldenRow> golden_cells() {
  const TableLaws laws = make_table_laws(read_preset(find_preset("reproductions", "elmoe3d")));
  std::vector<PublishedCell> published;
  for (const ReproducedCell& cell : reproduce_table(laws, {})) published.push_back({cell.key, 0.6, 2.0, 2.5});
  std::vector<GoldenRow> rows;
  for (const ReproducedCell& cell : reproduce_table(laws, published)) {
    rows.push_back(
        {fmt::format("{} GB {} {} batch {}", cell.key.hb_gb, cell.key.model, cell.key.scheme, cell.key.batch),
         {{"slots", cell.slots},
          {"distinct", cell.distinct},
          {"ar", cell.ar},
          {"ar_roof", cell.ar_roof},
          {"ar_uncached", cell.ar_uncached},
          {"sd", cell.sd.value_or(0)},
          {"hit_share", cell.ar_hit_share_published.value_or(-1)},
          {"seconds", cell.token.seconds},
          {"joules", cell.token.joules.total()},
          {"reference_seconds", cell.reference_token.seconds},
          {"reference_joules", cell.reference_token.joules.total()}}});
  }
  return rows;
}

std::string to_text(const std::vector<GoldenRow>& rows) {
  std::string text;
  for (const GoldenRow& row : rows) {
    text += row.design + "|";
    for (const auto& [name, value] : row.figures) text += fmt::format(" {}={:.14g}", name, value);
    text += "\n";
  }
  return text;
}

std::vector<GoldenRow> rows_from_text(const std::string& text) {
  std::vector<GoldenRow> rows;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto bar = line.find('|');
    GoldenRow row{line.substr(0, bar), {}};
    std::istringstream figures(line.substr(bar + 1));
    for (std::string figure; figures >> figure;) {
      const auto equals = figure.find('=');
      row.figures.emplace_back(figure.substr(0, equals), std::stod(figure.substr(equals + 1)));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace moecarlo::hw
