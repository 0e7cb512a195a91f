#include "host/trace/captured_acceptance.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

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

}  // namespace

CapturedAcceptance read_captured_acceptance(const std::filesystem::path& path, const RoutingTable& table) {
  const TraceContents trace = open_trace(path);
  expect_same_trace(trace.info, trace.phase, table);
  if (trace.extras.acceptance_configurations == 0) {
    fail(ErrorKind::input, "{}: no captured acceptance (acceptance.model = \"captured\" needs the group acceptance)",
         trace.root.name_of("acceptance"));
  }
  check_acceptance(trace.root);
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

std::uint32_t nearest_bits(const CapturedAcceptance& captured, std::uint32_t bits) {
  const auto distance = [&](std::uint32_t b) { return b > bits ? b - bits : bits - b; };
  return *std::min_element(
      captured.weight_bits.begin(), captured.weight_bits.end(),
      [&](std::uint32_t a, std::uint32_t b) { return std::pair(distance(a), a) < std::pair(distance(b), b); });
}

std::vector<float> acceptance_at(const CapturedAcceptance& captured, double fraction, std::uint32_t bits) {
  const std::uint32_t nearest = nearest_bits(captured, bits);
  std::map<double, std::size_t> configuration;  // by cache fraction
  for (std::size_t c = 0; c < captured.weight_bits.size(); ++c) {
    if (captured.weight_bits[c] == nearest) configuration.emplace(captured.cache_fraction[c], c);
  }
  const auto above = configuration.lower_bound(fraction);
  if (above == configuration.begin()) return captured.probability[above->second];
  const auto below = std::prev(above);
  if (above == configuration.end()) return captured.probability[below->second];
  const double share = (fraction - below->first) / (above->first - below->first);
  return between(captured.probability[below->second], captured.probability[above->second], share);
}

}  // namespace moecarlo
