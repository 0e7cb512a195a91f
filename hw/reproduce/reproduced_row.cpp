#include "hw/reproduce/reproduced_row.hpp"

#include <cmath>
#include <utility>

namespace moecarlo::hw {
namespace {

ReproducedRow row_of(Claim claim, std::optional<double> ours, std::vector<std::string> assumed) {
  ReproducedRow row;
  row.quantity = std::move(claim.quantity);
  row.conditions = std::move(claim.conditions);
  row.unit = std::move(claim.unit);
  row.published = claim.published;
  row.ours = ours;
  row.assumed = std::move(assumed);
  return row;
}

ReproducedRow judged(ReproducedRow row, bool met, std::string reason) {
  row.verdict = met ? Verdict::met : Verdict::missed;
  if (!met) row.reason = std::move(reason);
  return row;
}

}  // namespace

const char* to_string(Verdict verdict) {
  return verdict == Verdict::met ? "met" : verdict == Verdict::missed ? "missed" : "cannot be judged";
}

ReproducedRow compare(Claim claim, double ours, double tolerance, std::vector<std::string> assumed,
                      std::string reason) {
  ReproducedRow row = row_of(std::move(claim), ours, std::move(assumed));
  row.tolerance = tolerance;
  const bool near = std::abs(ours / row.published - 1) <= tolerance;
  return judged(std::move(row), near, std::move(reason));
}

ReproducedRow compare_roof(Claim claim, double roof, std::vector<std::string> assumed, std::string reason) {
  const bool below = claim.published <= roof;
  return judged(row_of(std::move(claim), roof, std::move(assumed)), below, std::move(reason));
}

ReproducedRow compare_floor(Claim claim, double floor, std::vector<std::string> assumed, std::string reason) {
  const bool above = claim.published >= floor;
  return judged(row_of(std::move(claim), floor, std::move(assumed)), above, std::move(reason));
}

ReproducedRow leave_open(Claim claim, std::optional<double> ours, std::string reason,
                         std::vector<std::string> assumed) {
  ReproducedRow row = row_of(std::move(claim), ours, std::move(assumed));
  row.reason = std::move(reason);
  return row;
}

std::vector<std::string> assumed_of(const Preset& preset, bool named) {
  std::vector<std::string> keys;
  for (const Constant& one : preset.constants) {
    if (one.status == "assumed" || one.status == "fitted")
      keys.push_back(named ? preset.name + ": " + one.key : one.key);
  }
  return keys;
}

std::vector<std::string> joined(std::vector<std::string> first, const std::vector<std::string>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

}  // namespace moecarlo::hw
