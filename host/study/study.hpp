#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "cuda/core/plan.hpp"
#include "host/study/demand.hpp"

namespace moecarlo {

/// A study as the user wrote it, defaults filled in. One struct a table of the TOML file; the interfaces document
/// states each key. Everything here is plain data that has passed validation.

enum class Mode { random, exhaustive, replay, perturbed };
enum class Start { warm, cold };
enum class AcceptanceModel { constant, ratio, positions, lengths, captured, coverage, ngram, rounds, marginal };
enum class RejectedRouting { trace, resample, captured };
enum class Objects { experts, slices };          ///< what a cache slot holds
enum class Replacements { scores, popularity };  ///< what stands in for an absent expert while drafting
enum class Redraw { alias, gumbel };             ///< how perturbed routing is drawn

/// Two sizes of a cache of which the larger holds whatever the smaller one does: a tier in another.
struct NestedCapacities {
  std::uint32_t near = 0, far = 0;  ///< slots per layer

  friend bool operator==(const NestedCapacities&, const NestedCapacities&) = default;
};

struct GridSpec {
  std::vector<std::uint32_t> batch{1};
  std::vector<std::uint32_t> depth{4};  ///< 0 = autoregressive; always ascending, no value twice (all lists)
  std::vector<Policy> policy{Policy::static_residents};
  std::vector<std::uint32_t> capacity;     ///< slots per layer; empty where there is one pool
  std::vector<std::uint32_t> pool;         ///< slots of all layers together; only where cache.scope is pool
  std::vector<NestedCapacities> nested{};  ///< both are among the capacities; no larger one twice
  std::vector<std::uint32_t> bits{8};      ///< upper bits of each weight kept in fast memory by the elastic scheme
};

/// The number of its own that a policy takes.
inline const PolicyParameter& parameter_of(Policy policy) {
  static constexpr auto kAll = []<std::size_t... policies>(std::index_sequence<policies...>) {
    return std::array{std::tuple_element_t<policies, Policies>::kParameter...};
  }
  (std::make_index_sequence<kPolicies>{});
  return kAll[static_cast<std::size_t>(policy)];
}

/// How the policies work that have a choice.
struct CacheSpec {
  Scope scope = Scope::layer;
  Objects objects = Objects::experts;
  std::map<std::string, double> parameters{};  ///< those of policies (PolicyParameter) that the study states, by key

  double parameter(Policy policy) const {
    const PolicyParameter& parameter = parameter_of(policy);
    const auto stated = parameter.key == nullptr ? parameters.end() : parameters.find(parameter.key);
    return stated == parameters.end() ? parameter.usual : stated->second;
  }
};

/// The shape of the draft: a chain, or a tree.
struct DraftSpec {
  std::uint32_t width = 1;                ///< nodes a level
  std::uint32_t verify_tokens = 0;        ///< draft tokens that are verified, at most; 0 = all
  std::optional<double> sibling_routing;  ///< a sibling keeps an expert of its path token with this probability
  Replacements replacements = Replacements::scores;
  std::optional<bool> gate_mass;  ///< count the gate mass that residents cover; unset: where hotness is studied
};

struct AcceptanceSpec {
  AcceptanceModel model = AcceptanceModel::constant;
  std::optional<double> alpha;         ///< constant: per token; ratio: E[a] / depth; of a list the first
  std::vector<double> alphas{};        ///< where alpha is a list, a grid axis: all of them, ascending; else empty
  std::vector<double> positions;       ///< positions: conditional acceptance per draft position; marginal: marginal
  std::vector<std::uint64_t> lengths;  ///< lengths: count of accepted length 0, 1, 2, ...
  std::optional<double> b0, b1;        ///< coverage: given; else fitted to the trace's captured acceptance
  std::uint32_t longest = 3;           ///< ngram: longest suffix that is looked up, in tokens
  RejectedRouting rejected_routing = RejectedRouting::trace;
};

/// The tokens before the decode tokens, run through the caches in chunks and counted apart.
struct PrefillSpec {
  std::uint32_t chunk = 256;                  ///< tokens of a pass
  std::optional<std::uint32_t> psum_slots{};  ///< memory for partial sums; unset: nobody counts what has no room
  bool psum_forced = false;                   ///< a partial sum that comes in always takes a slot
  std::optional<double> mixed{};              ///< share of the rounds that take a chunk along; unset: prompts run alone
};

/// What would be fetched ahead: counted, and not done.
struct PrefetchSpec {
  Predictor predictor{};
  std::vector<std::uint32_t> leads{1};     ///< layers ahead, ascending
  std::optional<std::uint32_t> experts{};  ///< unset: as many as a token chooses; layers: 1 for each of them
};

struct StopSpec {
  std::vector<std::string> metrics{"tokens_per_round", "hit_rate"};
  double relative_half_width = 0;
};

struct HardwareSpec {
  std::string model;  ///< preset name or path of a Hugging Face config.json
  std::uint32_t context = 1024;
  std::optional<std::uint32_t> least_context{};  ///< where contexts are drawn, each as likely up to `context`
  std::vector<std::string> systems;
  std::vector<std::string> schemes{"ar", "elastic"};
  std::string reference = "xpu";  ///< speed-ups are over autoregressive decoding on this system; "none": there are none
  /// What if: factors on constants of systems or of the model ("hb.bandwidth", "attention.kv_bits"), ascending, all
  /// crossed; 1 is always among them. Each other combination is a system of its own name.
  std::map<std::string, std::vector<double>> vary{};
  std::map<std::string, std::string> set{};  ///< constants in place of the presets' own: "204.8GB/s"
  std::string bit_slices{};  ///< path of a bitslice.json about the experts' weights; empty: none is used
};

/// How to run, not what to simulate: none of it changes a result.
struct RunSpec {
  std::string backend = "auto";         ///< auto | cpu | cuda
  std::uint32_t threads = 0;            ///< 0 = all cores
  std::optional<std::uint32_t> device;  ///< number of the GPU; unset: the local rank's turn among those there are
  std::optional<double> time_limit_seconds;
};

struct Study {
  std::string name;
  std::filesystem::path trace;
  Mode mode = Mode::random;
  std::uint32_t seed = 1;
  std::uint64_t trajectories = 100'000;
  std::uint32_t rounds = 16;
  Start start = Start::warm;
  std::uint32_t warmup = 0;
  std::optional<std::uint32_t> rounds_rows{};  ///< of recorded rounds only the first so many columns are replayed
  std::optional<double> calibration = 0.2;     ///< share of sequences; empty = "all"
  std::uint32_t split_seed = 0;
  double temperature = 1;                   ///< perturbed: of the redrawn routing
  Redraw redraw = Redraw::alias;            ///< perturbed
  HistogramSet histograms = 0;              ///< what is counted beside the metrics of every study
  std::vector<std::uint32_t> layer_ranges;  ///< first layers of ranges after the first, ascending
  GridSpec grid;
  CacheSpec cache;
  DraftSpec draft;
  AcceptanceSpec acceptance;
  std::optional<DemandSpec> demand;  ///< unset: columns ask for whatever the router chose, and nobody counts it
  std::optional<PrefillSpec> prefill;
  std::optional<PrefetchSpec> prefetch;
  std::optional<StopSpec> stop;
  std::optional<HardwareSpec> hardware;
  RunSpec run;
  std::vector<std::string> notes;  ///< sentences for the report about files that the study names; not part of it
};

/// Whether every round may draw fresh starts that all batches and depths share: static residents, and nothing that
/// reaches from one round to the next or makes routing or acceptance depend on more than the draft position.
bool shares_starts(const Study& study);

/// Whether path probabilities are looked at: by a demand rule, or by a histogram.
bool weighs_paths(const Study& study);

}  // namespace moecarlo
