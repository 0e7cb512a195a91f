#include "host/study/acceptance_models.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include "host/study/names.hpp"
#include "host/study/speculation_profile.hpp"
#include "host/study/table_reader.hpp"
#include "host/study/toml_list.hpp"

namespace moecarlo {
namespace {

using Notes = std::vector<std::string>;
using Folder = std::filesystem::path;

// Models that say nothing but their name.
void read_nothing(TableReader&, AcceptanceSpec&, const Folder&, Notes&) {}
void write_nothing(const AcceptanceSpec&, toml::table&) {}

// constant and ratio
void read_alpha(TableReader& table, AcceptanceSpec& acceptance, const Folder&, Notes&) {
  std::optional<std::vector<double>> alphas = table.numbers("alpha", 0, 1);
  if (!alphas) table.missing("alpha", "a number from 0 to 1, or a list of them");
  std::sort(alphas->begin(), alphas->end());
  alphas->erase(std::unique(alphas->begin(), alphas->end()), alphas->end());
  acceptance.alpha = alphas->front();
  if (alphas->size() > 1) acceptance.alphas = *alphas;
}
void write_alpha(const AcceptanceSpec& acceptance, toml::table& table) {
  if (acceptance.alphas.empty()) {
    table.insert("alpha", *acceptance.alpha);
  } else {
    table.insert("alpha", toml_list(acceptance.alphas));
  }
}

std::vector<double> constant_conditional(const AcceptanceSpec& acceptance, std::uint32_t depth) {
  return std::vector<double>(depth, acceptance.alpha.value_or(0));
}

/// E[a] of a constant per-token acceptance b: b + b^2 + ... + b^d.
double expected_length(double b, std::uint32_t depth) {
  double sum = 0;
  double power = 1;
  for (std::uint32_t i = 0; i < depth; ++i) sum += power *= b;
  return sum;
}

/// The b in [0, 1] whose expected accepted length is alpha d; E[a] grows with b, so bisection finds it.
double per_token_acceptance(double alpha, std::uint32_t depth) {
  if (alpha >= 1) return 1;
  double low = 0;
  double high = 1;
  for (int i = 0; i < 64; ++i) {
    const double middle = (low + high) / 2;
    (expected_length(middle, depth) < alpha * depth ? low : high) = middle;
  }
  return (low + high) / 2;
}

/// How ELMoE-3D's Table 3 reads: E[a] / d = alpha.
std::vector<double> ratio_conditional(const AcceptanceSpec& acceptance, std::uint32_t depth) {
  return std::vector<double>(depth, depth == 0 ? 0.0 : per_token_acceptance(acceptance.alpha.value_or(0), depth));
}

void read_positions(TableReader& table, AcceptanceSpec& acceptance, const Folder& folder, Notes& notes) {
  const auto profile = table.text("profile");
  auto positions = table.numbers("positions", 0, 1);
  if (profile && positions) table.wrong("profile", "either positions or profile");
  if (profile) {
    const SpeculationProfile read = read_speculation_profile(std::filesystem::weakly_canonical(folder / *profile));
    notes.insert(notes.end(), read.notes.begin(), read.notes.end());
    positions = read.conditional;
  }
  if (!positions) table.missing("positions", "conditional acceptance of each draft position");
  acceptance.positions = *positions;
}
void write_positions(const AcceptanceSpec& acceptance, toml::table& table) {
  table.insert("positions", toml_list(acceptance.positions));
}

std::vector<double> positions_conditional(const AcceptanceSpec& acceptance, std::uint32_t depth) {
  const auto known = std::min<std::size_t>(depth, acceptance.positions.size());
  return {acceptance.positions.begin(), acceptance.positions.begin() + static_cast<std::ptrdiff_t>(known)};
}

/// What serving engines print: the share of drafts that were accepted up to each position, and at it.
void read_marginal(TableReader& table, AcceptanceSpec& acceptance, const Folder&, Notes&) {
  const auto rates = table.numbers("marginal", 0, 1);
  if (!rates) table.missing("marginal", "of all drafts the share accepted up to each position, and at it");
  if (!std::is_sorted(rates->rbegin(), rates->rend())) {
    table.wrong("marginal", "rates that do not grow: what is accepted at a position is at all before it");
  }
  acceptance.positions = *rates;
}
void write_marginal(const AcceptanceSpec& acceptance, toml::table& table) {
  table.insert("marginal", toml_list(acceptance.positions));
}

std::vector<double> marginal_conditional(const AcceptanceSpec& acceptance, std::uint32_t depth) {
  std::vector<double> conditional;
  double before = 1;
  for (std::size_t i = 0; i < acceptance.positions.size() && i < depth; ++i) {
    conditional.push_back(before > 0 ? acceptance.positions[i] / before : 0);
    before = acceptance.positions[i];
  }
  return conditional;
}

void read_lengths(TableReader& table, AcceptanceSpec& acceptance, const Folder&, Notes&) {
  const auto lengths = table.integers("lengths", 0, std::int64_t{1} << 48);
  if (!lengths) table.missing("lengths", "how often the accepted length was 0, 1, 2, ...");
  acceptance.lengths.assign(lengths->begin(), lengths->end());
  if (std::all_of(lengths->begin(), lengths->end(), [](std::int64_t count) { return count == 0; })) {
    table.wrong("lengths", "at least one count above 0");
  }
}
void write_lengths(const AcceptanceSpec& acceptance, toml::table& table) {
  table.insert("lengths", toml_list(acceptance.lengths));
}

/// The hazards of the histogram of min(a, d).
std::vector<double> lengths_conditional(const AcceptanceSpec& acceptance, std::uint32_t depth) {
  const std::vector<std::uint64_t>& lengths = acceptance.lengths;
  std::vector<double> conditional(depth, 0.0);
  double at_least = static_cast<double>(std::accumulate(lengths.begin(), lengths.end(), std::uint64_t{0}));
  for (std::uint32_t i = 0; i < depth && i < lengths.size(); ++i) {
    const double more = at_least - static_cast<double>(lengths[i]);
    conditional[i] = at_least > 0 ? more / at_least : 0.0;
    at_least = more;
  }
  return conditional;
}

void read_coverage(TableReader& table, AcceptanceSpec& acceptance, const Folder&, Notes&) {
  acceptance.b0 = table.number("b0", -1e6, 1e6);
  acceptance.b1 = table.number("b1", -1e6, 1e6);
  if (acceptance.b0.has_value() != acceptance.b1.has_value()) {
    table.missing(acceptance.b0 ? "b1" : "b0", "both coefficients, or none to fit them to captured acceptance");
  }
}
void write_coverage(const AcceptanceSpec& acceptance, toml::table& table) {
  if (acceptance.b0) table.insert("b0", *acceptance.b0);
  if (acceptance.b1) table.insert("b1", *acceptance.b1);
}

void read_ngram(TableReader& table, AcceptanceSpec& acceptance, const Folder&, Notes&) {
  acceptance.longest = static_cast<std::uint32_t>(table.integer("longest", 1, 64).value_or(acceptance.longest));
}
void write_ngram(const AcceptanceSpec& acceptance, toml::table& table) {
  table.insert("longest", std::int64_t{acceptance.longest});
}

void read_rounds(TableReader& table, AcceptanceSpec& acceptance, const Folder&, Notes&) {
  if (!table.is_text("rejected_routing")) acceptance.rejected_routing = RejectedRouting::captured;
}

/// In the order of AcceptanceModel.
constexpr std::array rows = {
    AcceptanceRow{"constant", Acceptance::by_position, {}, read_alpha, write_alpha, constant_conditional},
    AcceptanceRow{"ratio", Acceptance::by_position, {}, read_alpha, write_alpha, ratio_conditional},
    AcceptanceRow{"positions", Acceptance::by_position, {}, read_positions, write_positions, positions_conditional},
    AcceptanceRow{
        "lengths", Acceptance::by_position, {.unknown_odds = true}, read_lengths, write_lengths, lengths_conditional},
    AcceptanceRow{"captured", Acceptance::by_token, {.has_control = true}, read_nothing, write_nothing, nullptr},
    AcceptanceRow{"coverage", Acceptance::by_coverage, {}, read_coverage, write_coverage, nullptr},
    AcceptanceRow{"ngram",
                  Acceptance::proposals,
                  {.has_control = true, .in_order = true, .unknown_odds = true},
                  read_ngram,
                  write_ngram,
                  nullptr},
    AcceptanceRow{"rounds",
                  Acceptance::proposals,
                  {.in_order = true, .unknown_odds = true, .recorded = true},
                  read_rounds,
                  write_nothing,
                  nullptr},
    AcceptanceRow{"marginal", Acceptance::by_position, {}, read_marginal, write_marginal, marginal_conditional},
};

}  // namespace

const AcceptanceRow& row_of(AcceptanceModel model) {
  return rows.at(static_cast<std::size_t>(model));
}

const Names<AcceptanceModel>& acceptance_names() {
  static const Names<AcceptanceModel> names = [] {
    Names<AcceptanceModel> all;
    for (const AcceptanceRow& row : rows) all.emplace_back(row.name, static_cast<AcceptanceModel>(all.size()));
    return all;
  }();
  return names;
}

Acceptance rule_of(AcceptanceModel model) {
  return row_of(model).rule;
}
const AcceptanceTraits& traits_of(AcceptanceModel model) {
  return row_of(model).traits;
}

}  // namespace moecarlo
