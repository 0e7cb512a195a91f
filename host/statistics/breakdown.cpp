#include "host/statistics/breakdown.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace moecarlo {
namespace {

constexpr std::size_t kHalf = kRoundParts / 2 * kPartTimes;  // figures of the draft's parts

// Figures lie in the order of their names: bytes, draft, energy to tokens, verify.
constexpr std::size_t kDraft = 5, kEnergy = kDraft + kHalf, kVerify = kRoundTotals + kHalf;

/// Part p, time t at p * kPartTimes + t.
constexpr std::array<std::string_view, kRoundParts * kPartTimes> kPartNames{
    "draft.attention",       "draft.attention.compute",  "draft.attention.ext",  "draft.attention.hb",
    "draft.attention.link",  "draft.attention.near",     "draft.drafter",        "draft.drafter.compute",
    "draft.drafter.ext",     "draft.drafter.hb",         "draft.drafter.link",   "draft.drafter.near",
    "draft.experts",         "draft.experts.compute",    "draft.experts.ext",    "draft.experts.hb",
    "draft.experts.link",    "draft.experts.near",       "draft.lm_head",        "draft.lm_head.compute",
    "draft.lm_head.ext",     "draft.lm_head.hb",         "draft.lm_head.link",   "draft.lm_head.near",
    "verify.attention",      "verify.attention.compute", "verify.attention.ext", "verify.attention.hb",
    "verify.attention.link", "verify.attention.near",    "verify.drafter",       "verify.drafter.compute",
    "verify.drafter.ext",    "verify.drafter.hb",        "verify.drafter.link",  "verify.drafter.near",
    "verify.experts",        "verify.experts.compute",   "verify.experts.ext",   "verify.experts.hb",
    "verify.experts.link",   "verify.experts.near",      "verify.lm_head",       "verify.lm_head.compute",
    "verify.lm_head.ext",    "verify.lm_head.hb",        "verify.lm_head.link",  "verify.lm_head.near",
};

constexpr std::array<std::string_view, kRoundTotals> kTotalNames{
    "bytes.ext",  "bytes.hb",  "bytes.hb_written", "bytes.link", "bytes.near", "energy.communication", "energy.compute",
    "energy.ext", "energy.hb", "energy.static",    "joules",     "seconds",    "seconds_at_means",     "tokens"};

constexpr std::size_t place_of_part(std::size_t index) {
  return index < kHalf ? kDraft + index : kVerify + index - kHalf;
}
constexpr std::size_t place_of_total(std::size_t index) {
  return index < kDraft ? index : kEnergy + index - kDraft;
}

constexpr std::array<std::string_view, Breakdown::kFigures> all_names() {
  std::array<std::string_view, Breakdown::kFigures> names;
  for (std::size_t i = 0; i < kPartNames.size(); ++i) names[place_of_part(i)] = kPartNames[i];
  for (std::size_t i = 0; i < kTotalNames.size(); ++i) names[place_of_total(i)] = kTotalNames[i];
  return names;
}

constexpr auto kNames = all_names();
static_assert(std::is_sorted(kNames.begin(), kNames.end()));

std::optional<std::size_t> figure_named(std::string_view name) {
  const auto found = std::lower_bound(kNames.begin(), kNames.end(), name);
  if (found == kNames.end() || *found != name) return std::nullopt;
  return static_cast<std::size_t>(found - kNames.begin());
}

}  // namespace

const std::array<std::string_view, Breakdown::kFigures>& Breakdown::names() {
  return kNames;
}

std::string_view Breakdown::name_of(RoundPart part) {
  return kNames[figure(part, PartTime::lasts)];
}

std::size_t Breakdown::figure(RoundPart part, PartTime time) {
  return place_of_part(static_cast<std::size_t>(part) * kPartTimes + static_cast<std::size_t>(time));
}

std::size_t Breakdown::figure(RoundTotal total) {
  return place_of_total(static_cast<std::size_t>(total));
}

void Breakdown::set(std::string_view name, double value) {
  const auto found = figure_named(name);
  if (!found) throw std::out_of_range("no figure is named " + std::string(name));
  set(*found, value);
}

std::optional<double> Breakdown::find(std::string_view name) const {
  const auto found = figure_named(name);
  return found ? value(*found) : std::nullopt;
}

double Breakdown::at(std::string_view name) const {
  const auto found = find(name);
  if (!found) throw std::out_of_range("no figure " + std::string(name));
  return *found;
}

}  // namespace moecarlo
