#include "hw/reproduce/reproduce.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <sstream>

#include "host/support/csv_line.hpp"
#include "host/support/error.hpp"
#include "host/support/text_file.hpp"
#include "hw/plan/mean_time.hpp"

namespace moecarlo::hw {
namespace {

constexpr std::uint32_t kElasticBits = 4;
constexpr double kOwnError = 0.03;
constexpr std::array<std::uint32_t, 4> kBatches{1, 4, 8, 16};

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

/// A published line of the file.
struct TableLine {
  std::string place;  ///< "file:line"
  std::vector<std::string> fields;

  double number(std::size_t field, const char* name) const {
    const std::string& text = fields[field];
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !(value > 0) || !std::isfinite(value))
      fail(ErrorKind::input, "{}: {}: not a number above 0 (found '{}')", place, name, text);
    return value;
  }
  std::uint32_t count(std::size_t field, const char* name) const {
    const double value = number(field, name);
    if (value != std::floor(value) || value > 1e6)
      fail(ErrorKind::input, "{}: {}: not a whole number (found '{}')", place, name, fields[field]);
    return static_cast<std::uint32_t>(value);
  }
};

/// One design, everything read and laid out.
struct Design {
  const TableLaws& laws;
  const System& system;
  const System& reference;
  const Model& model;
  const Scheme& scheme;
  const RoutingLaw& routing;
  std::uint32_t batch;

  Serving serving(bool drafting) const {
    Serving serving{laws.context, batch, drafting ? laws.depth : 0, kElasticBits};
    if (drafting) {
      serving.draft_width = laws.width;
      serving.verify_columns = laws.verify_tokens;
    }
    return serving;
  }

  RoundCost cost(const System& on, const Scheme& with, const Serving& how, const Placement& placement,
                 const MeanCounts& counts) const {
    const Done round = at_means(on, model, with.plan(on, model, how, placement).round, counts);
    return {round.seconds, joules_by_standing(on, round.work, round.seconds)};
  }

  RoundCost of_reference() const {
    const Scheme plain = autoregressive();
    const Placement nothing = place(reference, plain, model, serving(false), model.moe_layers);
    return cost(reference, plain, serving(false), nothing, {0, routing.distinct(batch), 0, 0});
  }

  Placement placed(bool drafting) const { return place(system, scheme, model, serving(drafting), model.moe_layers); }

  RoundCost of_step(double hit_share) const {
    const double distinct = routing.distinct(batch);
    return cost(system, scheme, serving(false), placed(false),
                {hit_share * distinct, (1 - hit_share) * distinct, 0, 0});
  }

  RoundCost of_round() const {
    const Placement placement = placed(true);
    const double slots = placement.capacity.mean(model.moe_layers);
    MeanCounts counts;
    const double verified = routing.distinct(batch * effective_tokens(laws.verify_tokens, laws.overlap));
    counts.hits = routing.held_share(slots, verified) * verified;
    counts.misses = verified - counts.hits;
    const double drafting = batch * effective_tokens(laws.width, laws.overlap);
    if (scheme.draft_routing == DraftRouting::residents) {
      counts.draft_hits = routing.residents_touched(slots, drafting);
    } else if (scheme.draft_routing == DraftRouting::all) {
      const double touched = routing.distinct(drafting);
      counts.draft_hits = routing.held_share(slots, touched) * touched;
      counts.draft_misses = touched - counts.draft_hits;
    }
    return cost(system, scheme, serving(true), placement, counts);
  }
};

/// The hit share at which a step is so many times as fast as on the reference; none where even all hits are too slow,
/// or none still too fast. More hits are never slower.
std::optional<double> hit_share_for(const Design& design, double speedup) {
  const double seconds = design.of_reference().seconds / speedup;
  double low = 0, high = 1;
  if (design.of_step(low).seconds < seconds || design.of_step(high).seconds > seconds) return std::nullopt;
  for (int halving = 0; halving < 40; ++halving) {
    const double middle = (low + high) / 2;
    (design.of_step(middle).seconds > seconds ? low : high) = middle;
  }
  return (low + high) / 2;
}

/// A cost shared out among the tokens that it emits.
RoundCost per_token(const RoundCost& cost, double tokens) {
  const JoulesByStanding& j = cost.joules;
  return {cost.seconds / tokens, {j.published / tokens, j.derived / tokens, j.assumed / tokens}};
}

ReproducedCell reproduce_cell(const Design& design, const TableKey& key, const PublishedCell* published) {
  ReproducedCell cell;
  cell.key = key;
  cell.slots = design.placed(false).capacity.mean(design.model.moe_layers);
  cell.distinct = design.routing.distinct(design.batch);
  const RoundCost reference = design.of_reference();
  const RoundCost step = design.of_step(design.routing.hit_share(cell.slots));
  cell.reference_token = per_token(reference, design.batch);
  cell.token = per_token(step, design.batch);
  cell.ar = reference.seconds / step.seconds;
  cell.ar_roof = reference.seconds / design.of_step(std::min(1.0, cell.slots / cell.distinct)).seconds;
  cell.ar_uncached = reference.seconds / design.of_step(0).seconds;
  if (published == nullptr) return cell;
  cell.published = *published;
  cell.ar_hit_share_published = hit_share_for(design, published->ar);
  const RoundCost round = design.of_round();
  const double tokens = 1 + published->alpha * design.laws.depth;
  cell.sd = tokens * reference.seconds / round.seconds;
  if (*cell.sd > cell.ar) cell.token = per_token(round, tokens * design.batch);
  return cell;
}

std::vector<std::string> names_of(const TableLaws& laws) {
  std::vector<std::string> names;
  for (const auto& [name, routing] : laws.routing) names.push_back(name);
  return names;
}

const PublishedCell* find_cell(const std::vector<PublishedCell>& cells, const TableKey& key) {
  const auto found = std::find_if(cells.begin(), cells.end(), [&](const auto& cell) { return cell.key == key; });
  return found == cells.end() ? nullptr : &*found;
}

}  // namespace

std::vector<PublishedCell> read_published_table(const std::filesystem::path& file) {
  constexpr std::uint64_t largest_table_bytes = std::uint64_t{1} << 20;
  std::istringstream stream(
      read_text_file(file, ErrorKind::input, "a table of published speedups, a CSV file", largest_table_bytes));
  const std::string header = "hb_gb,model,scheme,batch,alpha,ar_speedup,sd_speedup";
  std::vector<PublishedCell> cells;
  std::string text;
  for (std::size_t line = 1; std::getline(stream, text); ++line) {
    const TableLine row{fmt::format("{}:{}", file.string(), line), csv_fields(text)};
    if (line == 1) {
      if (fmt::format("{}", fmt::join(row.fields, ",")) != header)
        fail(ErrorKind::input, "{}: expected the header {}, found {}", row.place, header, text);
      continue;
    }
    if (row.fields.size() != 7) fail(ErrorKind::input, "{}: expected 7 fields, found {}", row.place, row.fields.size());
    PublishedCell cell;
    cell.key = {row.count(0, "hb_gb"), lower_case(row.fields[1]), lower_case(row.fields[2]), row.count(3, "batch")};
    cell.alpha = row.number(4, "alpha");
    cell.ar = row.number(5, "ar_speedup");
    if (!row.fields[6].empty()) cell.sd = row.number(6, "sd_speedup");
    cell.place = row.place;
    if (const auto* const first = find_cell(cells, cell.key))
      fail(ErrorKind::input, "{}: the cell of {} again (expected each once)", row.place, first->place);
    cells.push_back(std::move(cell));
  }
  return cells;
}

TableLaws make_table_laws(const Preset& preset) {
  PresetReader reader(preset);
  TableLaws laws;
  laws.preset = preset;
  laws.depth = reader.count("tree.depth");
  laws.width = reader.count("tree.width");
  laws.verify_tokens = reader.count("tree.verify_tokens");
  laws.overlap = reader.share("tree.overlap");
  laws.context = reader.count("serving.context");
  laws.published_energy_gain = reader.positive("published.energy_gain_8gb", "count");
  laws.reference = read_system(reader.text("table.reference"));
  for (const std::string& name : reader.texts("table.systems")) laws.systems.push_back(read_system(name));
  laws.schemes = reader.texts("table.schemes");
  const std::string table = "locality.";
  for (const Constant& constant : preset.constants) {
    if (constant.key.compare(0, table.size(), table) != 0) continue;
    const std::string name = constant.key.substr(table.size());
    const Model model = read_model(name);
    laws.routing.push_back({name,
                            {model.experts, model.top_k, reader.not_negative("popularity." + name, "count"),
                             reader.positive(constant.key, "count")}});
  }
  reader.finish();
  return laws;
}

std::uint32_t near_gigabytes(const System& system) {
  constexpr double bytes_per_gibibyte = 1073741824;
  return static_cast<std::uint32_t>(system.tiers.front().capacity_bytes / bytes_per_gibibyte);
}

const System& system_of(const TableLaws& laws, std::uint32_t hb_gb) {
  for (const System& system : laws.systems) {
    if (near_gigabytes(system) == hb_gb) return system;
  }
  fail(ErrorKind::usage, "{}: no system with {} GB of near memory", laws.preset.file, hb_gb);
}

std::vector<ReproducedCell> reproduce_table(const TableLaws& laws, const std::vector<PublishedCell>& published) {
  std::vector<ReproducedCell> cells;
  std::vector<std::uint32_t> sizes;
  for (const System& system : laws.systems) {
    const std::uint32_t hb = sizes.emplace_back(near_gigabytes(system));
    for (const auto& [name, routing] : laws.routing) {
      const Model model = read_model(name);
      for (const std::string& scheme_name : laws.schemes) {
        const Scheme scheme = find_scheme(scheme_name);
        for (const std::uint32_t batch : kBatches) {
          const TableKey key{hb, name, scheme_name, batch};
          const Design design{laws, system, laws.reference, model, scheme, routing, batch};
          cells.push_back(reproduce_cell(design, key, find_cell(published, key)));
        }
      }
    }
  }
  for (const PublishedCell& one : published) {
    const auto same = [&](const ReproducedCell& cell) { return cell.key == one.key; };
    if (std::any_of(cells.begin(), cells.end(), same)) continue;
    fail(ErrorKind::input, "{}: no such cell (expected hb_gb {}, a model of {}, a scheme of {}, a batch of {})",
         one.place, fmt::join(sizes, " or "), fmt::join(names_of(laws), ", "), fmt::join(laws.schemes, ", "),
         fmt::join(kBatches, ", "));
  }
  return cells;
}

bool above_roof(const ReproducedCell& cell) {
  return cell.published && cell.published->ar > (1 + kOwnError) * cell.ar_roof;
}

bool seems_uncached(const ReproducedCell& cell) {
  return cell.published && cell.slots >= 1 && cell.published->ar < (1 + kOwnError) * cell.ar_uncached;
}

TableErrors errors_of(std::vector<double> errors) {
  if (errors.empty()) return {};
  std::sort(errors.begin(), errors.end());
  const std::size_t half = errors.size() / 2;
  const double median = errors.size() % 2 == 1 ? errors[half] : (errors[half - 1] + errors[half]) / 2;
  return {errors.size(), median, errors.back()};
}

TableAggregates aggregates_of(const std::vector<ReproducedCell>& cells) {
  TableAggregates sums;
  double small = 0, large = 0, ratios = 0;
  for (const ReproducedCell& cell : cells) {
    if (cell.key.scheme != "elastic" || !cell.sd) continue;
    const double best = std::max(cell.ar, *cell.sd);
    (cell.key.hb_gb == 4 ? sums.best_mode_4gb : sums.best_mode_8gb) += best;
    ++(cell.key.hb_gb == 4 ? small : large);
    if (cell.key.batch < 4) continue;
    TableKey rival = cell.key;
    rival.scheme = "eagle";
    const auto eagle =
        std::find_if(cells.begin(), cells.end(), [&](const ReproducedCell& one) { return one.key == rival; });
    if (eagle == cells.end() || !eagle->sd) continue;
    const double ratio = *cell.sd / *eagle->sd;
    sums.elastic_over_eagle += ratio;
    sums.elastic_over_eagle_max = std::max(sums.elastic_over_eagle_max, ratio);
    ++ratios;
  }
  if (small > 0) sums.best_mode_4gb /= small;
  if (large > 0) sums.best_mode_8gb /= large;
  if (ratios > 0) sums.elastic_over_eagle /= ratios;
  return sums;
}

}  // namespace moecarlo::hw
