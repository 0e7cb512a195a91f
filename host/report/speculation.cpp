#include "host/report/speculation.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <tuple>

#include "host/report/number_text.hpp"
#include "host/report/selection.hpp"

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

/// Of each system, scheme, batch and depth, which share their acceptance, the row that needs the least of it.
std::vector<const HardwareResult*> largest_margins(const std::vector<const HardwareResult*>& rows) {
  std::vector<const HardwareResult*> best;
  std::map<std::tuple<std::string, std::string, std::uint32_t, std::uint32_t>, std::size_t> places;
  for (const HardwareResult* row : rows) {
    const auto [place, is_new] = places.try_emplace({row->system, row->scheme, row->batch, row->depth}, best.size());
    if (is_new) {
      best.push_back(row);
    } else if (*row->break_even_acceptance < *best[place->second]->break_even_acceptance) {
      best[place->second] = row;
    }
  }
  return best;
}

/// One design that speculates, in time or in what it fetches.
struct Case {
  std::string where, design;
  std::uint32_t batch = 1, depth = 1;
  double needed = 0;
  Estimate acceptance;
  Verdict pays = Verdict::undecided;
  double margin() const { return acceptance.value - needed; }
};

std::vector<Case> hardware_cases(const StudyResults& results) {
  std::vector<Case> cases;
  for (const HardwareResult* row : shown_hardware_break_even(results, std::numeric_limits<std::size_t>::max())) {
    const Estimate acceptance = study_acceptance(results, row->batch, row->depth);
    cases.push_back({"on " + row->system, fmt::format("scheme {}, policy {}", row->scheme, row->policy), row->batch,
                     row->depth, *row->break_even_acceptance, acceptance,
                     is_above(acceptance, *row->break_even_acceptance)});
  }
  return cases;
}

std::vector<Case> fetching_cases(const StudyResults& results) {
  std::vector<Case> cases;
  const PointResult* typical = typical_point(results);
  for (const BreakEvenResult* row : shown_break_even(results, "misses", std::numeric_limits<std::size_t>::max())) {
    const PointResult& point = results.points.at(row->point);
    if (point.policy != typical->policy || point.capacity != typical->capacity) continue;
    cases.push_back({"in experts fetched",
                     fmt::format("policy {}, {} experts per layer", point.policy, number_text(point.capacity)),
                     point.batch, point.depth, row->needed_acceptance,
                     study_acceptance(results, point.batch, point.depth), is_above(row->utility, 1)});
  }
  return cases;
}

std::string what_it_needs(const Case& one) {
  const std::string needed =
      one.needed <= 0  ? "would pay whatever is accepted"
      : one.needed > 1 ? fmt::format("needs an acceptance of {}, more than there can be", three_digits(one.needed))
                       : fmt::format("needs an acceptance of {}", three_digits(one.needed));
  return fmt::format("it {}, the study has {}", needed, three_digits(one.acceptance.value));
}

/// The shallowest case of each batch that pays, of equal depths that of the largest margin.
std::map<std::uint32_t, const Case*> first_that_pay(const std::vector<const Case*>& cases) {
  std::map<std::uint32_t, const Case*> first;
  for (const Case* one : cases) {
    if (one->pays != Verdict::yes) continue;
    const Case*& kept = first[one->batch];
    if (!kept || std::pair(one->depth, -one->margin()) < std::pair(kept->depth, -kept->margin())) kept = one;
  }
  return first;
}

std::string where_nothing_pays(const std::vector<const Case*>& cases) {
  const Case& closest = **std::max_element(cases.begin(), cases.end(),
                                           [](const Case* a, const Case* b) { return a->margin() < b->margin(); });
  const bool open = std::any_of(cases.begin(), cases.end(), [](const Case* one) { return one->pays != Verdict::no; });
  return fmt::format("{} {}{}: at its best, batch {} and depth {} ({}), {}.",
                     open ? "It is not decided whether speculation pays" : "Speculation does not pay", closest.where,
                     open ? "" : " at any batch and depth of the study", closest.batch, closest.depth, closest.design,
                     what_it_needs(closest));
}

/// " It also pays at batch 4, not at batch 8, 16."
std::string other_batches(const std::vector<const Case*>& cases, const std::map<std::uint32_t, const Case*>& paying) {
  std::map<Verdict, std::vector<std::uint32_t>> others;
  std::map<std::uint32_t, bool> open;
  for (const Case* one : cases) open[one->batch] |= one->pays == Verdict::undecided;
  for (const auto& [batch, undecided] : open) {
    if (batch == paying.begin()->first) continue;
    others[paying.count(batch) ? Verdict::yes : undecided ? Verdict::undecided : Verdict::no].push_back(batch);
  }
  std::vector<std::string> parts;
  const std::pair<Verdict, const char*> words[] = {
      {Verdict::yes, "it also pays"}, {Verdict::no, "it does not pay"}, {Verdict::undecided, "it is not decided"}};
  for (const auto& [verdict, text] : words) {
    if (others.count(verdict)) parts.push_back(fmt::format("{} at batch {}", text, fmt::join(others[verdict], ", ")));
  }
  if (parts.empty()) return {};
  parts.front().front() = 'I';
  return fmt::format(" {}.", fmt::join(parts, "; "));
}

std::string verdict_of(const std::vector<const Case*>& cases) {
  const auto paying = first_that_pay(cases);
  if (paying.empty()) return where_nothing_pays(cases);
  const Case& first = *paying.begin()->second;
  return fmt::format("Speculation pays {} from depth {} at batch {} ({}): {}.", first.where, first.depth, first.batch,
                     first.design, what_it_needs(first)) +
         other_batches(cases, paying);
}

}  // namespace

const char* to_text(Verdict verdict) {
  return verdict == Verdict::yes ? "yes" : verdict == Verdict::no ? "no" : "not decided";
}

Verdict is_above(const Estimate& estimate, double threshold) {
  const bool known = estimate.mc_half_width || estimate.trace_half_width;
  const double reach = estimate.mc_half_width.value_or(0) + estimate.trace_half_width.value_or(0);
  if (known && estimate.value - reach > threshold) return Verdict::yes;
  if (known && estimate.value + reach <= threshold) return Verdict::no;
  return Verdict::undecided;
}

Estimate study_acceptance(const StudyResults& results, std::uint32_t batch, std::uint32_t depth) {
  const MetricResult* length = find_metric(find_point(results, batch, depth), "accepted_length");
  if (!length) return {std::numeric_limits<double>::quiet_NaN(), std::nullopt, std::nullopt};
  return scaled(length->estimate, 1.0 / depth);
}

std::vector<const BreakEvenResult*> shown_break_even(const StudyResults& results, const std::string& cost,
                                                     std::size_t limit) {
  const PointResult* typical = typical_point(results);
  const auto point = [&](const BreakEvenResult& row) -> const PointResult& { return results.points.at(row.point); };
  std::vector<const BreakEvenResult*> rows;
  for (const BreakEvenResult& row : results.break_even) {
    if (row.cost == cost && point(row).bits == typical->bits) rows.push_back(&row);
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
    if (row.break_even_acceptance) rows.push_back(&row);
  }
  if (rows.size() > limit) rows = largest_margins(rows);
  const PointResult* typical = typical_point(results);
  return narrowed<HardwareResult>(rows, limit,
                                  {[&](const HardwareResult& row) { return !typical || row.batch == typical->batch; }});
}

std::string whether_speculation_pays(const StudyResults& results) {
  std::vector<Case> cases = hardware_cases(results);
  if (cases.empty()) cases = fetching_cases(results);
  std::vector<std::string> places;
  std::map<std::string, std::vector<const Case*>> by_place;
  for (const Case& one : cases) {
    if (!std::isfinite(one.margin())) continue;
    if (by_place[one.where].empty()) places.push_back(one.where);
    by_place[one.where].push_back(&one);
  }
  std::vector<std::string> sentences;
  for (const std::string& place : places) sentences.push_back(verdict_of(by_place[place]));
  return fmt::format("{}", fmt::join(sentences, " "));
}

}  // namespace moecarlo
