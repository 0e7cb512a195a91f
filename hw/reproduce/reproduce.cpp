#include "hw/reproduce/reproduce.hpp"

#include <algorithm>
#include <array>

#include "host/support/error.hpp"
#include "hw/reproduce/published_lines.hpp"

namespace moecarlo::hw {
namespace {

constexpr double kOwnError = 0.03;

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

/// The hit share at which a step takes so long; none where even all hits are too slow, or none still too fast. More
/// hits are never slower.
std::optional<double> hit_share_for(const Design& design, double seconds) {
  double low = 0, high = 1;
  if (design.step(low).seconds < seconds || design.step(high).seconds > seconds) return std::nullopt;
  for (int halving = 0; halving < 40; ++halving) {
    const double middle = (low + high) / 2;
    (design.step(middle).seconds > seconds ? low : high) = middle;
  }
  return (low + high) / 2;
}

ReproducedCell reproduce_cell(const Design& design, const RoundCost& reference, const TableKey& key,
                              const PublishedCell* published) {
  ReproducedCell cell;
  cell.key = key;
  cell.slots = design.placed(false).capacity.mean(design.model.moe_layers);
  cell.distinct = design.routing.distinct(design.batch);
  const RoundCost step = design.step();
  cell.reference_token = per_token(reference, design.batch);
  cell.token = per_token(step, design.batch);
  cell.ar = reference.seconds / step.seconds;
  cell.ar_roof = reference.seconds / design.step(std::min(1.0, cell.slots / cell.distinct)).seconds;
  cell.ar_uncached = reference.seconds / design.step(0).seconds;
  if (published == nullptr) return cell;
  cell.published = *published;
  cell.ar_hit_share_published = hit_share_for(design, reference.seconds / published->ar);
  const RoundCost round = design.round();
  const double tokens = design.laws.draft_of(key.scheme).tokens(published->alpha);
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
  std::vector<PublishedCell> cells;
  for (const PublishedLine& row : read_published_lines(file, "hb_gb,model,scheme,batch,alpha,ar_speedup,sd_speedup")) {
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

std::vector<ReproducedCell> reproduce_table(const TableLaws& laws, const std::vector<PublishedCell>& published) {
  std::vector<ReproducedCell> cells;
  std::vector<std::uint32_t> sizes;
  std::vector<std::string> schemes;
  for (const DraftLaw& law : laws.schemes) schemes.push_back(law.scheme);
  const Scheme plain = autoregressive();
  for (const System& system : laws.systems) {
    const std::uint32_t hb = sizes.emplace_back(near_gigabytes(system));
    for (const auto& [name, routing] : laws.routing) {
      const Model model = read_model(name);
      for (const std::string& scheme_name : schemes) {
        const Scheme scheme = find_scheme(scheme_name);
        for (const std::uint32_t batch : kTableBatches) {
          const TableKey key{hb, name, scheme_name, batch};
          const RoundCost reference = Design{laws, laws.reference, model, plain, routing, batch}.step();
          const Design design{laws, system, model, scheme, routing, batch};
          cells.push_back(reproduce_cell(design, reference, key, find_cell(published, key)));
        }
      }
    }
  }
  for (const PublishedCell& one : published) {
    const auto same = [&](const ReproducedCell& cell) { return cell.key == one.key; };
    if (std::any_of(cells.begin(), cells.end(), same)) continue;
    fail(ErrorKind::input, "{}: no such cell (expected hb_gb {}, a model of {}, a scheme of {}, a batch of {})",
         one.place, fmt::join(sizes, " or "), fmt::join(names_of(laws), ", "), fmt::join(schemes, ", "),
         fmt::join(kTableBatches, ", "));
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

}  // namespace moecarlo::hw
