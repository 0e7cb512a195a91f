#include <fmt/format.h>
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <random>

#include "tests/study/study_text.hpp"

namespace moecarlo {
namespace {

/// Studies that pass validation, with every optional part there or not.
class RandomStudies {
 public:
  Study next() {
    Study study;
    study.name = pick({"plain", "with \"quotes\" and \\", "two\nlines\tand \u00e9\u4e2d"});
    study.trace = fmt::format("/data/trace {}.h5", below(9));
    study.seed = static_cast<std::uint32_t>(engine_());
    study.trajectories = 1 + engine_() % (std::uint64_t{1} << 48);
    study.rounds = 1 + below(30000);
    study.start = below(2) != 0 ? Start::warm : Start::cold;
    study.warmup = below(30000);
    if (below(3) == 0) {
      study.calibration.reset();
    } else {
      study.calibration = share();
    }
    study.split_seed = static_cast<std::uint32_t>(engine_());
    study.mode = below(4) == 0 ? Mode::exhaustive : Mode::random;
    fill(study.grid, study.mode);
    fill(study.acceptance, study.grid.depth.back());
    if (study.mode == Mode::random) {
      if (below(2) != 0) study.acceptance.rejected_routing = RejectedRouting::resample;
      if (below(2) != 0) study.stop = StopSpec{{"misses", "hit_rate"}, share()};
    }
    if (below(2) != 0)
      study.hardware =
          HardwareSpec{pick({"qwen3-30b-a3b", "/models/config.json"}), 2 + below(9999), {}, {"xpu"}, {"ar", "elastic"}};
    if (study.hardware && below(2) != 0) study.hardware->least_context = 1 + below(study.hardware->context - 1);
    if (study.hardware) study.hardware->reference = pick({"xpu", "none", "/systems/mine.toml"});
    if (study.hardware && below(2) != 0) study.hardware->bit_slices = "/weights/bitslice.json";
    fill_rest(study);
    return study;
  }

 private:
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(engine_() % n); }
  double share() { return std::uniform_real_distribution<double>(1e-9, 1)(engine_); }
  std::string pick(const std::vector<std::string>& words) {
    return words[below(static_cast<std::uint32_t>(words.size()))];
  }

  std::vector<std::uint32_t> ascending(std::uint32_t low, std::uint32_t high) {
    std::set<std::uint32_t> values;
    for (std::uint32_t i = 0; i <= below(4); ++i) values.insert(low + below(high - low + 1));
    return {values.begin(), values.end()};
  }

  void fill(GridSpec& grid, Mode mode) {
    grid.depth = ascending(0, 12);
    grid.capacity = ascending(1, 1024);
    grid.bits = ascending(2, 8);
    if (mode == Mode::exhaustive) return;
    grid.batch = ascending(1, 4096);
    if (below(2) != 0) grid.policy = {Policy::lru, Policy::static_residents};
  }

  /// What may stand only beside something else.
  void fill_rest(Study& study) {
    if (!study.hardware) study.grid.bits = {8};
    if (study.mode == Mode::exhaustive) return;
    const bool slru = below(2) != 0, drafts = study.grid.depth.back() > 0;
    if (slru) study.grid.policy.push_back(Policy::slru);
    if (slru) study.cache.parameters["protected"] = share();
    if (drafts && below(2) != 0) {
      study.grid.policy.push_back(Policy::hotness);
      study.cache.parameters["decay"] = 0.875;
    }
    study.histograms = below(4);
    if (!study.hardware && below(3) == 0) {
      study.grid.policy.push_back(Policy::window);
      study.cache.parameters["window"] = 1 + below(9);
    }
    if (below(3) == 0) {
      study.cache.scope = Scope::pool;
      study.grid.pool.swap(study.grid.capacity);
    }
    if (drafts && below(2) != 0) study.draft = {3, 36, share(), Replacements::scores, below(2) != 0};
    if (below(4) == 0) {
      study.mode = Mode::perturbed;
      study.temperature = share();
      study.redraw = Redraw::gumbel;
    } else if (below(2) != 0) {
      study.acceptance = {};
      study.acceptance.model = AcceptanceModel::ngram;
      study.acceptance.longest = 1 + below(9);
    }
  }

  void fill(AcceptanceSpec& acceptance, std::uint32_t depth) {
    acceptance.model = static_cast<AcceptanceModel>(below(4));
    if (below(5) == 0) acceptance.model = AcceptanceModel::marginal;
    if (acceptance.model == AcceptanceModel::marginal) {
      double rate = 1;
      for (std::uint32_t i = 0; i <= depth; ++i) acceptance.positions.push_back(rate *= share());
    } else if (acceptance.model == AcceptanceModel::positions) {
      for (std::uint32_t i = 0; i <= depth; ++i) acceptance.positions.push_back(share());
    } else if (acceptance.model == AcceptanceModel::lengths) {
      acceptance.lengths = {1 + engine_() % (std::uint64_t{1} << 47), 0, below(100)};
    } else {
      acceptance.alpha = share();
      if (*acceptance.alpha < 1) acceptance.alphas = {*acceptance.alpha, 1};  // a grid axis
    }
  }

  std::mt19937_64 engine_{20};
};

void expect_equal(const Study& a, const Study& b) {
  EXPECT_EQ(std::tie(a.name, a.trace, a.mode, a.seed, a.trajectories, a.rounds, a.rounds_rows, a.start, a.warmup,
                     a.calibration, a.split_seed),
            std::tie(b.name, b.trace, b.mode, b.seed, b.trajectories, b.rounds, b.rounds_rows, b.start, b.warmup,
                     b.calibration, b.split_seed));
  EXPECT_EQ(std::tie(a.grid.batch, a.grid.depth, a.grid.policy, a.grid.capacity, a.grid.pool, a.grid.bits),
            std::tie(b.grid.batch, b.grid.depth, b.grid.policy, b.grid.capacity, b.grid.pool, b.grid.bits));
  EXPECT_EQ(std::tie(a.temperature, a.redraw, a.cache.scope, a.cache.objects, a.histograms, a.layer_ranges),
            std::tie(b.temperature, b.redraw, b.cache.scope, b.cache.objects, b.histograms, b.layer_ranges));
  for (const Policy policy : a.grid.policy) EXPECT_EQ(a.cache.parameter(policy), b.cache.parameter(policy));
  EXPECT_EQ(std::tie(a.draft.width, a.draft.verify_tokens, a.draft.sibling_routing, a.draft.gate_mass),
            std::tie(b.draft.width, b.draft.verify_tokens, b.draft.sibling_routing, b.draft.gate_mass));
  EXPECT_EQ(std::tie(a.acceptance.model, a.acceptance.alpha, a.acceptance.alphas, a.acceptance.positions,
                     a.acceptance.lengths, a.acceptance.longest, a.acceptance.rejected_routing),
            std::tie(b.acceptance.model, b.acceptance.alpha, b.acceptance.alphas, b.acceptance.positions,
                     b.acceptance.lengths, b.acceptance.longest, b.acceptance.rejected_routing));
  ASSERT_EQ(a.stop.has_value(), b.stop.has_value());
  if (a.stop) {
    EXPECT_EQ(std::tie(a.stop->metrics, a.stop->relative_half_width),
              std::tie(b.stop->metrics, b.stop->relative_half_width));
  }
  ASSERT_EQ(a.hardware.has_value(), b.hardware.has_value());
  if (a.hardware) {
    EXPECT_EQ(a.hardware->bit_slices, b.hardware->bit_slices);
    EXPECT_EQ(a.hardware->reference, b.hardware->reference);
    EXPECT_EQ(std::tie(a.hardware->model, a.hardware->context, a.hardware->systems, a.hardware->schemes),
              std::tie(b.hardware->model, b.hardware->context, b.hardware->systems, b.hardware->schemes));
  }
}

TEST(ToToml, IsReadBackAsTheSameStudy) {
  RandomStudies studies;
  for (int i = 0; i < 500; ++i) {
    const Study study = studies.next();
    const std::string text = to_toml(study);
    SCOPED_TRACE(text);
    expect_equal(parse_study(text, "tallies.h5", {}), study);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(ToToml, KeepsHowManyRowsOfARoundAreReplayed) {
  const std::string text =
      "[study]\ntrace = \"t.h5\"\nmode = \"replay\"\nrounds_rows = 3\n[grid]\ndepth = [2]\ncapacity = [4]\n"
      "[acceptance]\nmodel = \"rounds\"\n";
  const Study study = parse_study(text, "study.toml", {});
  EXPECT_EQ(study.rounds_rows, 3U);
  expect_equal(parse_study(to_toml(study), "tallies.h5", {}), study);
}

TEST(ToToml, LeavesOutHowToRun) {
  Study study = parse(StudyText{});
  const std::string before = to_toml(study);
  study.run.backend = "cpu";
  study.run.threads = 7;
  study.run.device = 1;
  study.run.time_limit_seconds = 60;
  EXPECT_EQ(to_toml(study), before);
}

TEST(ToJson, IsValidJsonForEveryStudy) {
  RandomStudies studies;
  for (int i = 0; i < 500; ++i) {
    const Study study = studies.next();
    const auto json = nlohmann::json::parse(to_json(study), nullptr, false);
    ASSERT_FALSE(json.is_discarded()) << to_json(study);
    EXPECT_EQ(json.at("study").at("name"), study.name);
    EXPECT_EQ(json.at("study").at("trajectories"), study.trajectories);
    const bool pool = study.cache.scope == Scope::pool;
    EXPECT_EQ(json.at("grid").at(pool ? "pool" : "capacity"), pool ? study.grid.pool : study.grid.capacity);
    if (!study.acceptance.alphas.empty()) {
      EXPECT_EQ(json.at("acceptance").at("alpha"), study.acceptance.alphas);
    } else if (study.acceptance.alpha) {
      EXPECT_EQ(json.at("acceptance").at("alpha"), *study.acceptance.alpha);
    }
  }
}

TEST(ToJson, FillsInTheDefaults) {
  const auto json = nlohmann::json::parse(to_json(parse(StudyText{})));
  const auto expected = nlohmann::json::parse(R"({
    "study": {"name": "study", "trace": "/folder/trace.h5", "mode": "random", "seed": 1, "trajectories": 100000,
              "rounds": 16, "start": "warm", "warmup": 0, "calibration": 0.2, "split_seed": 0},
    "cache": {"scope": "layer", "objects": "experts"},
    "draft": {"width": 1, "replacements": "scores"},
    "grid": {"batch": [1], "depth": [4], "policy": ["static"], "capacity": [4], "bits": [8]},
    "acceptance": {"model": "constant", "alpha": 0.5, "rejected_routing": "trace"}})");
  EXPECT_EQ(json, expected);
}

}  // namespace
}  // namespace moecarlo
