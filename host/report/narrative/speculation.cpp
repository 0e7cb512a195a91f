#include "host/report/narrative/speculation.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <tuple>

#include "host/report/narrative/selection.hpp"
#include "host/report/results/number_text.hpp"

namespace moecarlo {
namespace {

template <class Row>
using Filter = std::function<bool(const Row&)>;

template <class Row>
std::vector<const Row*> filtered(const std::vector<const Row*>& rows, const Filter<Row>& keep) {
  std::vector<const Row*> kept;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(kept), [&](const Row* row) { return keep(*row); });
  return kept;
}

/// Applies one filter after the other until at most `limit` rows are left; one that would leave none is passed over.
template <class Row>
std::vector<const Row*> narrowed(std::vector<const Row*> rows, std::size_t limit,
                                 const std::vector<Filter<Row>>& filters) {
  for (const Filter<Row>& keep : filters) {
    if (rows.size() <= limit) break;
    auto fewer = filtered(rows, keep);
    if (!fewer.empty()) rows = std::move(fewer);
  }
  return rows;
}

/// Of each system, scheme, batch and depth the row of the largest speed-up over its autoregressive mode.
std::vector<const HardwareResult*> largest_gains(const std::vector<const HardwareResult*>& rows) {
  std::vector<const HardwareResult*> best;
  std::map<std::tuple<std::string, std::string, std::uint32_t, std::uint32_t>, std::size_t> places;
  for (const HardwareResult* row : rows) {
    const auto [place, is_new] = places.try_emplace({row->system, row->scheme, row->batch, row->depth}, best.size());
    if (is_new) {
      best.push_back(row);
    } else if (row->speedup_over_autoregressive->value > best[place->second]->speedup_over_autoregressive->value) {
      best[place->second] = row;
    }
  }
  return best;
}

/// One design that speculates, in time or in what it fetches.
struct Case {
  const PointResult* point;  ///< null where the results hold none
  std::uint32_t batch, depth;
  std::string design;
  Estimate gain;
  double needed;
  Verdict pays() const { return is_above(gain, 1); }
};

/// The cases of one system, or of experts fetched, and what their gain is called.
struct Place {
  std::string where, gain_text;
  std::vector<Case> cases;
};

std::vector<Place> hardware_places(const StudyResults& results, bool variants) {
  std::vector<Place> places;
  for (const HardwareResult& row : results.hardware) {
    if (!row.speedup_over_autoregressive || row.is_variant() != variants) continue;
    if (!std::isfinite(row.speedup_over_autoregressive->value)) continue;
    const std::string where = "on " + row.system;
    auto place = std::find_if(places.begin(), places.end(), [&](const Place& other) { return other.where == where; });
    if (place == places.end()) place = places.insert(place, {where, "times as fast as its autoregressive mode", {}});
    const std::string design = fmt::format("scheme {}, policy {}, {} experts per layer{}", row.scheme, row.policy,
                                           number_text(row.capacity), bits_text(row.bits));
    place->cases.push_back({point_of(results, row), row.batch, row.depth, design, *row.speedup_over_autoregressive,
                            row.break_even_acceptance.value_or(std::numeric_limits<double>::quiet_NaN())});
  }
  return places;
}

std::vector<Place> fetching_places(const StudyResults& results) {
  Place place{"in experts fetched", "times the tokens for what is fetched", {}};
  const PointResult* typical = typical_point(results);
  for (const BreakEvenResult* row : shown_break_even(results, "misses", std::numeric_limits<std::size_t>::max())) {
    const PointResult& point = results.points.at(row->point);
    if (point.policy != typical->policy || point.capacity != typical->capacity) continue;
    if (!std::isfinite(row->utility.value)) continue;
    place.cases.push_back({&point, point.batch, point.depth, cache_text(point), row->utility, row->needed_acceptance});
  }
  return place.cases.empty() ? std::vector<Place>{} : std::vector<Place>{place};
}

/// "1.42 ± 0.01 (simulation) ± 0.02 (trace) times as fast as ...; it needs an acceptance of 0.310 and has 0.500"
std::string what_it_gains(const Place& place, const Case& one) {
  const std::string needed = one.needed <= 0 ? "no acceptance"
                             : one.needed > 1
                                 ? fmt::format("an acceptance of {}, more than there can be,", three_digits(one.needed))
                                 : fmt::format("an acceptance of {}", three_digits(one.needed));
  return fmt::format("{} {}; it needs {} and has {}", estimate_text(one.gain), place.gain_text, needed,
                     three_digits(acceptance_of(one.point).value));
}

std::string with_design(const Case& one) {
  return fmt::format("batch {}, depth {} ({})", one.batch, one.depth, one.design);
}

/// The shallowest case of each batch that pays, of equal depths that of the largest gain.
std::map<std::uint32_t, const Case*> first_that_pay(const std::vector<Case>& cases) {
  std::map<std::uint32_t, const Case*> first;
  for (const Case& one : cases) {
    if (one.pays() != Verdict::yes) continue;
    const Case*& kept = first[one.batch];
    if (!kept || std::pair(one.depth, -one.gain.value) < std::pair(kept->depth, -kept->gain.value)) kept = &one;
  }
  return first;
}

bool is_open(const Case& one) {
  return one.pays() == Verdict::undecided;
}

std::string where_nothing_pays(const Place& place) {
  const Case& best = *std::max_element(place.cases.begin(), place.cases.end(),
                                       [](const Case& a, const Case& b) { return a.gain.value < b.gain.value; });
  const bool open = std::any_of(place.cases.begin(), place.cases.end(), is_open);
  return fmt::format("{} {}: at its best, {}, it is {}.",
                     open ? "It cannot be told apart whether speculation pays" : "No design of the study pays",
                     place.where, with_design(best), what_it_gains(place, best));
}

/// " It also pays at batch 4, depth 2 (...); no design pays at batch 8, 16."
std::string other_batches(const Place& place, const std::map<std::uint32_t, const Case*>& paying) {
  std::vector<std::string> also;
  std::vector<std::uint32_t> open, none;
  std::map<std::uint32_t, bool> undecided;
  for (const Case& one : place.cases) undecided[one.batch] |= is_open(one);
  for (const auto& [batch, is_undecided] : undecided) {
    if (batch == paying.begin()->first) continue;
    const auto found = paying.find(batch);
    if (found != paying.end()) {
      also.push_back(with_design(*found->second));
    } else {
      (is_undecided ? open : none).push_back(batch);
    }
  }
  std::vector<std::string> parts;
  if (!also.empty()) parts.push_back(fmt::format("it also pays at {}", fmt::join(also, ", at ")));
  if (!none.empty()) parts.push_back(fmt::format("no design pays at batch {}", fmt::join(none, ", ")));
  if (!open.empty()) parts.push_back(fmt::format("it cannot be told apart at batch {}", fmt::join(open, ", ")));
  if (parts.empty()) return {};
  parts.front().front() = static_cast<char>(std::toupper(parts.front().front()));
  return fmt::format(" {}.", fmt::join(parts, "; "));
}

std::string sentences_of(const Place& place) {
  const auto paying = first_that_pay(place.cases);
  if (paying.empty()) return where_nothing_pays(place);
  const Case& first = *paying.begin()->second;
  return fmt::format("Speculation pays {} at {}, the shallowest draft that does: it is {}.", place.where,
                     with_design(first), what_it_gains(place, first)) +
         other_batches(place, paying);
}

/// Each variant that pays with its first case, and the names of the others.
std::string about_variants(const std::vector<Place>& variants) {
  std::vector<std::string> parts, open, none;
  for (const Place& place : variants) {
    const auto paying = first_that_pay(place.cases);
    if (!paying.empty()) {
      parts.push_back(fmt::format("it pays {} at {}", place.where, with_design(*paying.begin()->second)));
    } else {
      (std::any_of(place.cases.begin(), place.cases.end(), is_open) ? open : none).push_back(place.where);
    }
  }
  if (!none.empty()) parts.push_back(fmt::format("no design pays {}", fmt::join(none, ", ")));
  if (!open.empty()) parts.push_back(fmt::format("it cannot be told apart {}", fmt::join(open, ", ")));
  return parts.empty() ? "" : fmt::format("Variants: {}.", fmt::join(parts, "; "));
}

}  // namespace

const char* to_text(Verdict verdict) {
  return verdict == Verdict::yes ? "pays" : verdict == Verdict::no ? "does not pay" : "cannot be told apart";
}

Verdict is_above(const Estimate& estimate, double threshold) {
  const bool known = estimate.mc_half_width || estimate.trace_half_width;
  const double reach = estimate.mc_half_width.value_or(0) + estimate.trace_half_width.value_or(0);
  if (known && estimate.value - reach > threshold) return Verdict::yes;
  if (known && estimate.value + reach <= threshold) return Verdict::no;
  return Verdict::undecided;
}

Verdict verdict_of(const HardwareResult& row) {
  return row.speedup_over_autoregressive ? is_above(*row.speedup_over_autoregressive, 1) : Verdict::undecided;
}

Estimate acceptance_of(const PointResult* point) {
  const MetricResult* length = find_metric(point, "accepted_length");
  if (!length || point->depth == 0) return {std::numeric_limits<double>::quiet_NaN(), std::nullopt, std::nullopt};
  return scaled(length->estimate, 1.0 / point->depth);
}

std::vector<const BreakEvenResult*> shown_break_even(const StudyResults& results, const std::string& cost,
                                                     std::size_t limit) {
  const PointResult* typical = typical_point(results);
  const auto point = [&](const BreakEvenResult& row) -> const PointResult& { return results.points.at(row.point); };
  std::vector<const BreakEvenResult*> rows;
  for (const BreakEvenResult& row : results.break_even) {
    if (row.cost != cost || point(row).demand != typical->demand) continue;
    if (point(row).bits == typical->bits) rows.push_back(&row);
  }
  const Filter<BreakEvenResult> capacity = [&](const auto& row) { return point(row).capacity == typical->capacity; };
  const Filter<BreakEvenResult> policy = [&](const auto& row) { return point(row).policy == typical->policy; };
  const Filter<BreakEvenResult> batch = [&](const auto& row) { return point(row).batch == typical->batch; };
  if (cost == "distinct_experts") rows = narrowed(rows, 0, {capacity, policy});
  return narrowed(rows, limit, {capacity, policy, batch});
}

std::vector<const HardwareResult*> shown_hardware_break_even(const StudyResults& results, std::size_t limit) {
  std::vector<const HardwareResult*> rows;
  for (const HardwareResult& row : results.hardware) {
    if (row.speedup_over_autoregressive) rows.push_back(&row);
  }
  if (rows.size() > limit) rows = largest_gains(rows);
  const PointResult* typical = typical_point(results);
  return narrowed<HardwareResult>(rows, limit,
                                  {[&](const HardwareResult& row) { return !typical || row.batch == typical->batch; }});
}

std::string whether_speculation_pays(const StudyResults& results) {
  std::vector<Place> places = hardware_places(results, false);
  const std::vector<Place> variants = hardware_places(results, true);
  if (places.empty() && variants.empty()) places = fetching_places(results);
  std::vector<std::string> sentences;
  for (const Place& place : places) sentences.push_back(sentences_of(place));
  sentences.push_back(about_variants(variants));
  std::erase(sentences, std::string());
  return fmt::format("{}", fmt::join(sentences, " "));
}

}  // namespace moecarlo
