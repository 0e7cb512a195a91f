#include "host/report/narrative/one_alpha.hpp"

#include <set>

namespace moecarlo {
namespace {

constexpr std::size_t kGone = ~std::size_t{0};

/// Those that are at `alpha` or have none; where each of all of them went.
template <class Row>
std::vector<std::size_t> keep(std::vector<Row>& rows, double alpha) {
  std::vector<std::size_t> places;
  std::vector<Row> kept;
  for (Row& row : rows) {
    const bool stays = row.alpha.value_or(alpha) == alpha;
    places.push_back(stays ? kept.size() : kGone);
    if (stays) kept.push_back(std::move(row));
  }
  rows = std::move(kept);
  return places;
}

/// Leaves out what names a row that is gone, and names the others anew.
template <class Result, class... Index>
void rename(std::vector<Result>& results, const std::vector<std::size_t>& places, Index... index) {
  std::erase_if(results, [&](const Result& one) { return ((places.at(one.*index) == kGone) || ...); });
  for (Result& one : results) ((one.*index = places.at(one.*index)), ...);
}

}  // namespace

std::vector<double> alphas_of(const StudyResults& results) {
  std::set<double> alphas;
  for (const PointResult& point : results.points) {
    if (point.alpha) alphas.insert(*point.alpha);
  }
  return {alphas.begin(), alphas.end()};
}

StudyResults at_alpha(const StudyResults& results, double alpha) {
  StudyResults one = results;
  const std::vector<std::size_t> points = keep(one.points, alpha);
  rename(one.differences, points, &DifferenceResult::first, &DifferenceResult::second);
  rename(one.controls, points, &ControlResult::point);
  rename(one.break_even, points, &BreakEvenResult::point);
  keep(one.distributions, alpha);
  const std::vector<std::size_t> rows = keep(one.hardware, alpha);
  keep(one.leads, alpha);
  rename(one.leads, rows, &LeadResult::first, &LeadResult::second);
  keep(one.bit_trades, alpha);
  return one;
}

double shown_alpha(const std::vector<double>& alphas) {
  return alphas.at((alphas.size() - 1) / 2);
}

}  // namespace moecarlo
