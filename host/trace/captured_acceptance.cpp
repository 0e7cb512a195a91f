#include "host/trace/captured_acceptance.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "host/support/error.hpp"
#include "host/support/memory_limit.hpp"
#include "host/trace/extras.hpp"
#include "host/trace/kept_tokens.hpp"
#include "host/trace/trace_contents.hpp"

namespace moecarlo {
namespace {

void expect_distinct(const hdf5::Group& group, const CapturedAcceptance& captured) {
  std::set<std::pair<std::uint32_t, float>> seen;
  for (std::size_t c = 0; c < captured.weight_bits.size(); ++c) {
    if (seen.emplace(captured.weight_bits[c], captured.cache_fraction[c]).second) continue;
    fail(ErrorKind::input, "{}: configuration twice at [{}] (cache fraction {}, {} bits)",
         group.name_of("cache_fraction"), c, captured.cache_fraction[c], captured.weight_bits[c]);
  }
}

std::vector<float> between(const std::vector<float>& low, const std::vector<float>& high, double share) {
  std::vector<float> mixed(low.size());
  std::transform(low.begin(), low.end(), high.begin(), mixed.begin(),
                 [&](double a, double b) { return static_cast<float>((1 - share) * a + share * b); });
  return mixed;
}

/// Two configurations, by number, and how far from the first to the second; the same twice at and beyond an end.
struct Enclosing {
  std::size_t below = 0, above = 0;
  double share = 0;
};

/// Those of exactly `bits` that enclose `fraction`.
Enclosing enclosing(std::span<const float> fractions, std::span<const std::uint32_t> all_bits, double fraction,
                    std::uint32_t bits) {
  std::map<double, std::size_t> configuration;  // by cache fraction
  for (std::size_t c = 0; c < all_bits.size(); ++c) {
    if (all_bits[c] == bits) configuration.emplace(fractions[c], c);
  }
  const auto above = configuration.lower_bound(fraction);
  if (above == configuration.begin()) return {above->second, above->second, 0};
  const auto below = std::prev(above);
  if (above == configuration.end()) return {below->second, below->second, 0};
  return {below->second, above->second, (fraction - below->first) / (above->first - below->first)};
}

std::string listed(const std::set<std::uint32_t>& bits) {
  return fmt::format("{}", fmt::join(bits, ", "));
}

}  // namespace

std::vector<float> read_draft_probability(const std::filesystem::path& path, const RoutingTable& table) {
  const TraceContents trace = open_trace(path);
  expect_same_trace(trace.info, trace.phase, table);
  if (!trace.extras.draft_probability) return {};
  check_acceptance(trace.root, trace.extras);
  const std::vector<float> of_file =
      trace.root.open_group("acceptance").open_dataset("draft_probability").read_floats(0, trace.info.tokens);
  std::vector<float> of_table;
  const KeptTokens kept(trace.phase);
  for (std::uint64_t token = 0; token < of_file.size(); ++token) {
    if (kept.contains(token)) of_table.push_back(of_file[token]);
  }
  return of_table;
}

CapturedAcceptance read_captured_acceptance(const std::filesystem::path& path, const RoutingTable& table) {
  const TraceContents trace = open_trace(path);
  expect_same_trace(trace.info, trace.phase, table);
  if (trace.extras.acceptance_configurations == 0) {
    fail(ErrorKind::input, "{}: no captured acceptance (acceptance.model = \"captured\" needs the group acceptance)",
         trace.root.name_of("acceptance"));
  }
  check_acceptance(trace.root, trace.extras);
  const hdf5::Group group = trace.root.open_group("acceptance");
  const std::uint64_t configurations = trace.extras.acceptance_configurations;
  expect_memory(configurations * table.tokens * sizeof(float), table.info.path + ": the captured acceptance");
  CapturedAcceptance captured;
  captured.cache_fraction = group.open_dataset("cache_fraction").read_floats(0, configurations);
  captured.weight_bits = group.read_integers<std::uint32_t>("weight_bits");
  captured.drafter = trace.extras.drafter;
  expect_distinct(group, captured);
  const KeptTokens kept(trace.phase);
  const hdf5::Dataset probability = group.open_dataset("accept_probability");
  for (std::uint64_t c = 0; c < configurations; ++c) {
    const std::vector<float> of_file = probability.read_floats(c, 1);
    auto& of_table = captured.probability.emplace_back();
    of_table.reserve(table.tokens);
    for (std::uint64_t token = 0; token < of_file.size(); ++token) {
      if (kept.contains(token)) of_table.push_back(of_file[token]);
    }
  }
  return captured;
}

std::uint32_t nearest_bits(std::span<const std::uint32_t> captured, std::uint32_t bits) {
  const auto distance = [&](std::uint32_t b) { return b > bits ? b - bits : bits - b; };
  return *std::min_element(captured.begin(), captured.end(), [&](std::uint32_t a, std::uint32_t b) {
    return std::pair(distance(a), a) < std::pair(distance(b), b);
  });
}

std::vector<float> acceptance_at(const CapturedAcceptance& captured, double fraction, std::uint32_t bits) {
  const Enclosing at =
      enclosing(captured.cache_fraction, captured.weight_bits, fraction, nearest_bits(captured.weight_bits, bits));
  return at.below == at.above ? captured.probability[at.below]
                              : between(captured.probability[at.below], captured.probability[at.above], at.share);
}

MeanAcceptance mean_acceptance(const CapturedAcceptance& captured) {
  MeanAcceptance mean{captured.cache_fraction, captured.weight_bits, {}};
  for (const std::vector<float>& tokens : captured.probability) {
    const double sum = std::accumulate(tokens.begin(), tokens.end(), 0.0);
    mean.acceptance.push_back(sum / static_cast<double>(std::max<std::size_t>(1, tokens.size())));
  }
  return mean;
}

MeanAcceptanceAt mean_acceptance_at(const MeanAcceptance& captured, double fraction, std::uint32_t bits) {
  const std::uint32_t nearest = nearest_bits(captured.weight_bits, bits);
  const Enclosing at = enclosing(captured.cache_fraction, captured.weight_bits, fraction, nearest);
  const double low = captured.cache_fraction[at.below], high = captured.cache_fraction[at.above];
  const double acceptance = (1 - at.share) * captured.acceptance[at.below] + at.share * captured.acceptance[at.above];
  return {std::clamp(fraction, low, high), nearest, acceptance};
}

std::vector<std::string> substitution_notes(const CapturedAcceptance& captured,
                                            const std::set<std::pair<double, std::uint32_t>>& used) {
  const std::set<std::uint32_t> known(captured.weight_bits.begin(), captured.weight_bits.end());
  std::set<std::uint32_t> unknown;
  std::map<double, double> smaller, larger;  // nearest captured fraction, and the farthest use of it
  for (const auto& [fraction, bits] : used) {
    const std::uint32_t nearest = nearest_bits(captured.weight_bits, bits);
    if (nearest != bits) unknown.insert(bits);
    const Enclosing at = enclosing(captured.cache_fraction, captured.weight_bits, fraction, nearest);
    if (at.below != at.above) continue;
    const double end = captured.cache_fraction[at.below];
    if (fraction < end) smaller[end] = std::min(fraction, smaller.try_emplace(end, fraction).first->second);
    if (fraction > end) larger[end] = std::max(fraction, larger.try_emplace(end, fraction).first->second);
  }
  std::vector<std::string> notes;
  for (const std::uint32_t bits : unknown) {
    notes.push_back(
        fmt::format("Acceptance at {} bits was not captured (captured: {}): it is that of {} bits, wherever {} stands.",
                    bits, listed(known), nearest_bits(captured.weight_bits, bits), bits));
  }
  for (const auto& [end, farthest] : smaller) {
    notes.push_back(fmt::format(
        "Acceptance was captured from {:.3g} of the experts resident on: with fewer, down to {:.3g}, it is that of "
        "{:.3g}, which is more than the draft would have.",
        end, farthest, end));
  }
  for (const auto& [end, farthest] : larger) {
    notes.push_back(fmt::format(
        "Acceptance was captured up to {:.3g} of the experts resident: with more, up to {:.3g}, it is that of {:.3g}, "
        "which is less than the draft would have.",
        end, farthest, end));
  }
  return notes;
}

}  // namespace moecarlo
