#include "host/statistics/breakdown.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace moecarlo {
namespace {

constexpr std::array<std::string_view, kRoundParts> kPartNames{
    "draft.attention",  "draft.drafter",  "draft.experts",  "draft.link",  "draft.lm_head",  "draft.overhead",
    "verify.attention", "verify.drafter", "verify.experts", "verify.link", "verify.lm_head", "verify.overhead"};

}  // namespace

std::string_view name_of(RoundPart part) {
  return kPartNames.at(static_cast<std::size_t>(part));
}

Breakdown::Breakdown(std::vector<Figure> figures) {
  std::sort(figures.begin(), figures.end(), [](const Figure& a, const Figure& b) { return a.name < b.name; });
  Names names;
  for (Figure& figure : figures) {
    names.push_back(std::move(figure.name));
    values_.push_back(figure.value);
  }
  names_ = std::make_shared<const Names>(std::move(names));
}

std::optional<double> Breakdown::find(std::string_view name) const {
  const auto found = std::lower_bound(names_->begin(), names_->end(), name);
  if (found == names_->end() || *found != name) return std::nullopt;
  return values_[static_cast<std::size_t>(found - names_->begin())];
}

double Breakdown::at(std::string_view name) const {
  const auto found = find(name);
  if (!found) throw std::out_of_range("no figure " + std::string(name));
  return *found;
}

bool operator==(const Breakdown& a, const Breakdown& b) {
  return *a.names_ == *b.names_ && a.values_ == b.values_;
}

}  // namespace moecarlo
