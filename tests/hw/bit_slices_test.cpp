#include "hw/schemes/bit_slices.hpp"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "host/support/json_keys.hpp"
#include "host/weights/count_slices.hpp"
#include "host/weights/figures_json.hpp"
#include "host/weights/format_counter.hpp"
#include "host/weights/format_json.hpp"
#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

using testing::HasSubstr;

constexpr Serving kDrafting{1024, 4, 3, 4};

/// Small weights: the upper half of a word is 0 in half of them, and only extends the sign in the others.
BitSlices small_weights() {
  WeightMatrix matrix{8, 64, {}, {}};
  for (std::size_t i = 0; i < 512; ++i) matrix.weights.push_back(static_cast<std::int8_t>(i % 2 == 0 ? 7 : -9));
  matrix.scales.assign(16, 0x2000);
  const auto figures = figures_of(sums_of(count_slices(matrix, 0, 2)), {4});
  const auto formats = figures_of(sums_of(make_cpu_format_counter(1)->count(formats_of(matrix, {}))), {4});
  return {"bits.json", "small", std::make_shared<const WeightFigures>(figures),
          std::make_shared<const FormatFigures>(formats)};
}

Plan plan_of(const Scheme& scheme, const System& system, const Model& model) {
  return scheme.plan(system, model, kDrafting, place(system, scheme, model, kDrafting, model.moe_layers));
}

TEST(BitSlices, coded_planes_take_the_place_of_nominal_bits) {
  const Model model = read_model("qwen3-30b-a3b"), own = measured(model, small_weights());
  // Planes that only repeat the sign cost a quarter, a bit for four rows; of the sign itself half the columns are
  // zeros.
  EXPECT_DOUBLE_EQ(model.expert_format.stored_bits(4), 4.5);
  EXPECT_DOUBLE_EQ(own.expert_format.stored_bits(4), (0.25 + 0.5) + 3 * 0.25 + 0.5);
  EXPECT_DOUBLE_EQ(slice_bytes(own, 4), slice_bytes(model, 4) * 2 / 4.5);
  EXPECT_EQ(dense_bytes(own), dense_bytes(model));  // nobody measured those
}

TEST(BitSlices, draft_and_verification_move_and_multiply_what_was_measured) {
  const System system = read_system("elmoe3d-8gb");
  const Model model = read_model("qwen3-30b-a3b");
  const BitSlices slices = small_weights();
  const Scheme nominal = elastic(), own = on_measured_slices(nominal, measured(model, slices));
  EXPECT_EQ(own.name, "elastic-measured");
  const Plan before = plan_of(nominal, system, model), after = plan_of(own, system, model);
  const Model coded = measured(model, slices);
  const auto work = [](const Plan& plan, RoundPart part) { return find_routed(plan.round, part)->work; };
  const ExpertsWork draft = work(after, RoundPart::draft_experts), verify = work(after, RoundPart::verify_experts);
  EXPECT_DOUBLE_EQ(system.amount(draft.hit.own, "hb"), slice_bytes(coded, 4));
  EXPECT_DOUBLE_EQ(system.amount(verify.hit.own, "ext"), expert_bytes(coded) - slice_bytes(coded, 4));
  EXPECT_DOUBLE_EQ(system.amount(verify.miss.own, "ext"), expert_bytes(coded));
  EXPECT_DOUBLE_EQ(after.cache_write_bytes, slice_bytes(coded, 4));
  // 7 = 0000 0111: half of the upper halves are zero, no lower one (-9 = 1111 0111).
  const Unit& logic = system.units.front();
  const auto share = [&](RoundPart part, std::size_t resource) {
    return work(after, part).pass.own.amount(resource) / work(before, part).pass.own.amount(resource);
  };
  EXPECT_DOUBLE_EQ(share(RoundPart::draft_experts, logic.operations), 0.5);
  EXPECT_DOUBLE_EQ(share(RoundPart::verify_experts, logic.operations), 0.75);
  EXPECT_EQ(share(RoundPart::verify_experts, *logic.broadcast), 1);
}

TEST(BitSlices, more_coded_experts_fit) {
  const System system = read_system("elmoe3d-4gb");
  const Model model = read_model("qwen3-30b-a3b");
  const Scheme nominal = elastic(), own = on_measured_slices(nominal, measured(model, small_weights()));
  const Placement before = place(system, nominal, model, kDrafting, 48),
                  after = place(system, own, model, kDrafting, 48);
  EXPECT_GT(after.slots, 1.9 * before.slots);
}

TEST(BitSlices, nominal_quantities_stand_beside_measured_ones) {
  const Model model = read_model("qwen3-30b-a3b");
  const auto quantities = measured_quantities(read_system("elmoe3d-8gb"), model, measured(model, small_weights()), 4);
  ASSERT_EQ(quantities.size(), 5U);
  EXPECT_DOUBLE_EQ(quantities[0].nominal, 4.5);
  EXPECT_DOUBLE_EQ(quantities[0].measured, 2);
  EXPECT_DOUBLE_EQ(quantities[1].nominal, 4);
  EXPECT_DOUBLE_EQ(quantities[3].nominal, 1);
  EXPECT_DOUBLE_EQ(quantities[3].measured, 0.5);
}

TEST(BitSlices, are_read_from_the_file_of_the_bitslice_command) {
  const BitSlices slices = small_weights();
  nlohmann::ordered_json total = to_json(*slices.figures);
  add_members(total, to_json(*slices.formats));
  const nlohmann::ordered_json json{
      {"schema", "moecarlo-bitslice"}, {"schema_version", 2}, {"weights", {{"model", "small"}}}, {"total", total}};
  const SampleFile file("bitslice.json", json.dump());
  const BitSlices read = read_bit_slices(file.path());
  EXPECT_EQ(read.model, "small");
  EXPECT_EQ(to_json(*read.figures), to_json(*slices.figures));
  EXPECT_EQ(to_json(*read.formats), to_json(*slices.formats));
}

TEST(BitSlices, what_cannot_be_used_is_refused) {
  EXPECT_THAT(error_of([] { read_bit_slices("/absent.json"); }), HasSubstr("/absent.json: cannot be read"));
  const SampleFile broken("bitslice.json", "{"),
      other("summary.json", R"({"schema": "moecarlo-summary", "schema_version": 1})");
  EXPECT_THAT(error_of([&] { read_bit_slices(broken.path()); }), HasSubstr("bitslice.json:1:2: not valid JSON"));
  EXPECT_THAT(error_of([&] { read_bit_slices(other.path()); }),
              HasSubstr("summary.json: wrong schema (expected moecarlo-bitslice"));
  EXPECT_THAT(error_of([] { measured(read_model("gpt-oss-20b"), small_weights()); }),
              HasSubstr("experts that are not sliced (expected 8-bit experts, found 4 bits)"));
}

}  // namespace
}  // namespace moecarlo::hw
