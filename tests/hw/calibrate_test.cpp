#include "hw/calibrate/calibrate.hpp"

#include <gmock/gmock.h>

#include <fmt/ranges.h>

#include <cmath>

#include "hw/plan/mean_time.hpp"
#include "hw/reproduce/routing_law.hpp"
#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

using testing::HasSubstr;

const char* const kHeader =
    "model,machine,batch,depth,policy,capacity,context,hit_rate,accepted_length,quantity,value,uncertainty,use\n";

std::vector<MeasuredPoint> points_of(const std::string& lines) {
  const SampleFile file("points.csv", kHeader + lines);
  return read_measured_points(file.path());
}

CalibrationSetup setup_of(const std::string& machine, std::vector<std::string> fits) {
  CalibrationSetup setup;
  setup.system = read_preset(find_preset("systems", machine));
  setup.model = read_model("qwen3-30b-a3b");
  setup.fits = std::move(fits);
  return setup;
}

TEST(MeasuredPoints, AreReadWithWhatIsUnknownLeftEmpty) {
  const auto points =
      points_of("m,x,4,0,lru,8,,0.5,,tokens_per_second,10,0.2,fit\nm,x,1,0,static,0,2048,,,ms_per_step,3,,predict\n");
  ASSERT_EQ(points.size(), 2U);
  EXPECT_EQ(points[0].hit_rate, 0.5);
  EXPECT_FALSE(points[0].context);
  EXPECT_EQ(points[0].uncertainty, 0.2);
  EXPECT_TRUE(points[0].fits);
  EXPECT_EQ(points[1].capacity, 0);
  EXPECT_EQ(points[1].uncertainty, 0.1);
  for (const auto& [line, says] :
       {std::pair{"m,x,1,0,static,0,,,,watts,3,,fit\n", ":2: quantity: expected one of tokens_per_second"},
        {"m,x,1,0,static,0,,,,ms_per_step,,,fit\n", ":2: value: empty"},
        {"m,x,1,0,static,0,,1.5,,ms_per_step,3,,fit\n", ":2: hit_rate: not a number from 0 to 1"},
        {"m,x,1\n", ":2: expected 13 fields"}})
    EXPECT_THAT(error_of([&, text = line] { points_of(text); }), HasSubstr(says));
}

TEST(Calibration, FindsTheConstantsThatMadeThePoints) {
  // Points of a machine with 300 us a layer, 60 % of its link and a popularity exponent of 0.7.
  const CalibrationSetup truth = [&] {
    CalibrationSetup setup = setup_of("rtx4090-ddr5", {});
    setup.system = with_value(with_value(setup.system, "overhead.layer", 300), "pcie.efficiency", 0.6);
    setup.zipf = 0.7;
    return setup;
  }();
  std::string lines;
  for (const int capacity : {0, 24, 64, 128}) {
    const auto made = calibrate(truth, points_of(fmt::format("m,x,1,0,static,{},,,,ms_per_step,1,,fit\n", capacity)));
    lines += fmt::format("m,x,1,0,static,{},,,,ms_per_step,{:.15g},,fit\n", capacity, made.points[0].ours);
  }
  const Calibration found =
      calibrate(setup_of("rtx4090-ddr5", {"overhead.layer", "pcie.efficiency", kRoutingZipf}), points_of(lines));
  EXPECT_NEAR(found.fitted[0].value, 300, 1e-3);
  EXPECT_NEAR(found.fitted[1].value, 0.6, 1e-6);
  EXPECT_NEAR(found.zipf, 0.7, 1e-5);
  for (const CalibratedPoint& point : found.points) {
    EXPECT_NEAR(point.ours / point.measured.value, 1, 1e-6);
    ASSERT_TRUE(point.left_out);
  }
}

TEST(Calibration, FitsNoMoreThanThePointsTell) {
  const auto one = points_of("m,x,1,0,static,128,,,,tokens_per_second,60,,fit\n");
  EXPECT_THAT(error_of([&] {
                calibrate(setup_of("mi210-x2", {"overhead.layer", kRoutingZipf}), one);
              }),
              HasSubstr("2 constants to fit (expected at most 1"));
  EXPECT_THAT(error_of([&] { calibrate(setup_of("mi210-x2", {"overhead.lair"}), one); }),
              HasSubstr("mi210-x2 has no constant 'overhead.lair'"));
  EXPECT_THAT(error_of([&] {
                calibrate(setup_of("mi210-x2", {}), points_of("m,x,1,0,lru,8,,,,tokens_per_second,6,,predict\n"));
              }),
              HasSubstr("policy lru without a hit_rate"));
  EXPECT_THAT(error_of([&] {
                calibrate(setup_of("mi210-x2", {}), points_of("m,x,1,2,lru,8,,1,,tokens_per_second,6,,predict\n"));
              }),
              HasSubstr("depth 2: drafts of no scheme"));
  EXPECT_THAT(error_of([&] {
                CalibrationSetup setup = setup_of("mi210-x2", {});
                setup.drafter = find_scheme("eagle");
                calibrate(setup, points_of("m,x,1,2,static,8,,,,tokens_per_second,6,,predict\n"));
              }),
              HasSubstr("depth 2 without an accepted_length"));
}

TEST(Calibration, AGivenHitRateIsUsedAsItIs) {
  const auto points = points_of(
      "m,x,1,0,lru,8,,0.25,,hit_rate,0.25,,predict\nm,x,1,0,lru,8,,0.25,,ms_per_step,1,,predict\n"
      "m,x,1,0,lru,8,,0.5,,ms_per_step,1,,predict\n");
  const Calibration made = calibrate(setup_of("rtx4090-ddr5", {}), points);
  EXPECT_DOUBLE_EQ(made.points[0].ours, 0.25);
  EXPECT_GT(made.points[1].ours, made.points[2].ours);
}

TEST(Calibration, AFitPointThatIsAllThereIsHasABandOfItsUncertainty) {
  const Calibration made =
      calibrate(setup_of("mi210-x2", {"overhead.layer"}), points_of("m,x,1,0,static,128,,,,ms_per_step,16,0.05,fit\n"));
  EXPECT_NEAR(made.points[0].ours, 16, 1e-6);
  EXPECT_NEAR(made.points[0].high, 16 * 1.05, 1e-3);
  EXPECT_FALSE(made.points[0].left_out) << "without it nothing is determined";
}

/// A round of depth 3 reads what four tokens take, after three steps of the drafter.
TEST(Calibration, ADraftingPointTakesTheUnionOfItsTokensAndTheTimeOfItsDrafter) {
  CalibrationSetup setup = setup_of("gh200", {});
  setup.zipf = 0;
  setup.drafter = find_scheme("eagle");
  const auto ours = [&](const std::string& line) { return calibrate(setup, points_of(line)).points[0].ours; };
  const RoutingLaw uniform{128, 8, 0, 1};
  EXPECT_NEAR(uniform.distinct(4), 128 * (1 - std::pow(1 - 8.0 / 128, 4)), 1e-9);
  const double round = ours("m,x,1,3,static,128,,,1.5,ms_per_step,1,,predict\n");
  EXPECT_NEAR(ours("m,x,1,3,static,128,,,1.5,tokens_per_second,1,,predict\n"), 2.5e3 / round, 1e-9);
  // The same by hand: memory is what takes the time of every part.
  const System system = make_system(setup.system);
  const double rate = system.resources[system.tiers.front().read].seconds_per;
  const Model& model = setup.model;
  const double kv = 1024 * kv_bytes_per_token(model);
  const double verify = dense_bytes(model) + kv + model.moe_layers * uniform.distinct(4) * expert_bytes(model);
  Serving serving{1024, 1, 3, 8};
  serving.verify_columns = 4;
  Placement near;
  near.all_near = true;
  const Plan plan = setup.drafter->plan(system, model, serving, near);
  const double drafts = 3 * at_means(system, model, *find_repeated(plan.round), {}).seconds;
  const double overheads = system.overheads.pass + count_layers(model) * system.overheads.layer;
  EXPECT_NEAR(round / 1e3, drafts + verify * rate + overheads, 1e-9);
}

/// What was counted takes the place of the popularity law.
TEST(Calibration, CountsOfATraceTakeThePlaceOfAPopularity) {
  Workload counted;
  counted.layers = 48;
  counted.top_k = 8;
  counted.groups = 1;
  counted.counts = {{10, 25}};
  const std::vector<JointCounts::Entry> entries{{0, {6, 2}, 300}, {0, {2, 6}, 180}};
  counted.classes = {{48, 32, JointCounts(1, entries), {}, {0}}};
  auto points = points_of("m,x,1,0,lru,32,,,,hit_rate,1,,predict\nm,x,1,0,lru,32,,,,ms_per_step,1,,predict\n");
  for (MeasuredPoint& point : points) point.counted = std::make_shared<const Workload>(counted);
  const CalibrationSetup setup = setup_of("rtx4090-ddr5", {});
  const Calibration made = calibrate(setup, points);
  EXPECT_NEAR(made.points[0].ours, (300 * 6 + 180 * 2) / (480.0 * 8), 1e-12);
  // Layers of two kinds, each at its own hits: at the mean hit rate a round takes as long, as parts are linear here.
  const auto given = points_of(fmt::format("m,x,1,0,lru,32,,{:.17g},,ms_per_step,1,,predict\n", made.points[0].ours));
  EXPECT_NEAR(calibrate(setup, given).points[0].ours / made.points[1].ours, 1, 1e-3);
  EXPECT_THAT(error_of([&] { calibrate(setup_of("rtx4090-ddr5", {kRoutingZipf}), points); }),
              HasSubstr("expected at most 0"));
}

std::filesystem::path measured(const char* name) {
  return std::filesystem::path(MOECARLO_RECORDED_TRACES).parent_path() / "published/measured" / name;
}

void expect_predicted(const Calibration& made, std::size_t at_least) {
  std::size_t predicted = 0;
  for (const CalibratedPoint& point : made.points) {
    if (point.measured.fits) continue;
    ++predicted;
    EXPECT_NEAR(point.ours / point.measured.value, 1, 0.15) << "capacity " << point.measured.capacity;
    EXPECT_NE(point.verdict, "fail");
  }
  EXPECT_GE(predicted, at_least);
}

/// Static residents on two cards, hit rates unpublished: overheads and the popularity of experts are what can be
/// fitted. Which of the overheads does not decide it, nor whether the scales of a weight count.
TEST(Calibration, TheOtherPointsOfTwoMi210AreWithinFifteenPerCent) {
  const std::filesystem::path file = measured("qwen3-30b-a3b-mi210.csv");
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "no measured points at " << file;
  const auto points = read_measured_points(file);
  expect_predicted(calibrate(setup_of("mi210-x2", {"overhead.layer", "overhead.managed_layer", kRoutingZipf}), points),
                   3);
  CalibrationSetup setup = setup_of("mi210-x2", {"overhead.layer", "overhead.message", kRoutingZipf});
  setup.model = read_model("qwen3-30b-a3b-int8");
  EXPECT_NEAR(expert_bytes(setup.model), 4.72e6, 0.02e6);
  expect_predicted(calibrate(setup, points), 3);
}

/// Experts in host memory behind a link, an LRU cache, hit rates given: three points, three constants.
TEST(Calibration, TheGivenPointsOfImpHitAreFitted) {
  const std::filesystem::path file = measured("qwen3-30b-a3b-imp-hit.csv");
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "no measured points at " << file;
  CalibrationSetup setup = setup_of("rtx5090-ddr5", {"overhead.layer", "overhead.managed_layer", "overhead.message"});
  setup.model = read_model("qwen3-30b-a3b-q4km");
  EXPECT_NEAR(8 * expert_bytes(setup.model) / weights(setup.model.expert), 4.85, 1e-9);
  const Calibration made = calibrate(setup, read_measured_points(file));
  for (const CalibratedPoint& point : made.points) EXPECT_NEAR(point.ours / point.measured.value, 1, 0.01);
  for (const FittedConstant& one : made.fitted) EXPECT_GT(one.value, 1) << one.key << " explains a part of it";
}

}  // namespace
}  // namespace moecarlo::hw
