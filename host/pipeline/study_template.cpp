#include "host/pipeline/study_template.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "host/support/printable.hpp"

namespace moecarlo {
namespace {

constexpr double kCalibration = 0.2;

/// Tokens of each sequence that a study looks at: those of decoding where the file marks any. Sequences without are
/// left out.
std::vector<std::uint64_t> kept_lengths(const TraceReader& reader) {
  const std::vector<std::uint64_t>& offsets = reader.sequence_offsets();
  const std::vector<std::uint8_t>& phase = reader.phase();
  const bool marked = std::find(phase.begin(), phase.end(), 1) != phase.end();
  std::vector<std::uint64_t> lengths;
  for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
    std::uint64_t length = offsets[s + 1] - offsets[s];
    if (marked) {
      const auto at = [&](std::size_t i) { return phase.begin() + static_cast<std::ptrdiff_t>(offsets[i]); };
      length = static_cast<std::uint64_t>(std::count(at(s), at(s + 1), 1));
    }
    if (length > 0) lengths.push_back(length);
  }
  return lengths;
}

/// Of how many tokens the choices fit into fast memory, as far as there are experts to leave out.
std::vector<std::uint32_t> token_cycles(const TraceInfo& info) {
  std::vector<std::uint32_t> cycles{1};
  for (const std::uint32_t tokens : {2U, 4U, 8U}) {
    if (tokens * info.top_k < info.experts) cycles.push_back(tokens);
  }
  return cycles;
}

struct LikelyAcceptance {
  std::string keys;  ///< of the table [acceptance]
  std::string mode = "random";
  std::uint32_t depth = 0;
};

/// What the trace holds; else a constant.
LikelyAcceptance acceptance_of(const TraceExtras& extras, std::uint64_t longest) {
  const auto room = static_cast<std::uint32_t>(std::min<std::uint64_t>(4, longest - 1));
  if (extras.acceptance_configurations > 0) {
    return {"model = \"captured\"          # as measured for every token of the trace\n", "random", room};
  }
  if (extras.rounds > 0) {
    return {"model = \"rounds\"            # the trace's recorded rounds, with the routing of their rejected drafts\n",
            "replay", extras.round_columns - 1};
  }
  return {
      "model = \"constant\"          # the trace holds none: put in your drafter's\n"
      "alpha = 0.7                 # P(a draft token is accepted, given that those before it were)\n",
      "random", room};
}

}  // namespace

std::string study_for(const TraceReader& reader, const std::string& trace, const std::string& study) {
  const TraceInfo& info = reader.info();
  const std::vector<std::uint64_t> lengths = kept_lengths(reader);
  const std::uint64_t longest = lengths.empty() ? 1 : *std::max_element(lengths.begin(), lengths.end());
  const LikelyAcceptance acceptance = acceptance_of(reader.extras(), longest);
  const bool splits = std::llround(kCalibration * static_cast<double>(lengths.size())) >= 1 && lengths.size() >= 2;
  std::vector<std::uint32_t> depths{0};
  if (acceptance.depth > 0 && acceptance.mode != "replay") depths.push_back(acceptance.depth);
  if (acceptance.mode == "replay") depths = {acceptance.depth};
  const std::vector<std::uint32_t> cycles = token_cycles(info);
  std::vector<std::uint32_t> capacities;
  for (const std::uint32_t tokens : cycles) capacities.push_back(tokens * info.top_k);
  const auto line = [](const std::string& key_and_value, const std::string& comment) {
    return fmt::format("{:<27} # {}\n", key_and_value, comment);
  };
  return fmt::format("# {}: {} layers, top-{} of {} experts, {} tokens in {} sequences.\n#\n", printable(info.model),
                     info.layers, info.top_k, info.experts, info.tokens, info.sequences) +
         fmt::format("#     moecarlo simulate {} -o results\n#\n", study) +
         "# Every combination of [grid] is a design point.\n[study]\n" +
         fmt::format("trace = {}\nmode = \"{}\"\n", nlohmann::json(trace).dump(), acceptance.mode) +
         line("trajectories = 16_384", "more of them: narrower intervals") +
         line("rounds = 8", "verify passes of each trajectory") +
         line(splits ? fmt::format("calibration = {}", kCalibration) : "calibration = \"all\"",
              "share of the sequences that fix which experts are popular; \"all\": the same ones") +
         "\n[grid]\n" + line("batch = [1]", "requests at a time") +
         line(fmt::format("depth = [{}]", fmt::join(depths, ", ")), "draft tokens a round; 0 = autoregressive") +
         "policy = [\"static\", \"lru\"]\n" +
         line(fmt::format("capacity = [{}]", fmt::join(capacities, ", ")),
              fmt::format("of {} experts a layer: what {} token(s) choose", info.experts, fmt::join(cycles, ", "))) +
         "\n[acceptance]\n" + acceptance.keys +
         "\n# Time and energy, too: a model (moecarlo model NAME, or a config.json) on systems.\n"
         "# [hardware]\n# model = \"gpt-oss-20b\"\n# systems = [\"xpu\", \"elmoe3d-8gb\"]\n";
}

}  // namespace moecarlo
