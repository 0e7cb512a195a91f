#include "hw/schemes/coding.hpp"

#include <gmock/gmock.h>

#include "host/weights/format_counter.hpp"
#include "hw/plan/mean_time.hpp"
#include "hw/projection/placement.hpp"
#include "hw/reproduce/merged_additions.hpp"
#include "hw/schemes/bit_slices.hpp"
#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

using testing::HasSubstr;

/// What was counted of one matrix whose rows have a scale each.
BitSlices counted_weights() {
  WeightMatrix matrix{8, 64, std::vector<std::int8_t>(512, 1), std::vector<std::uint16_t>(16, 0x2000)};
  std::vector<float> original(512, 1);
  for (std::size_t i = 0; i < original.size(); i += 64) original[i] = 127;
  const auto formats = figures_of(sums_of(make_cpu_format_counter(1)->count(formats_of(matrix, original))), {4});
  return {"bits.json", "small", std::make_shared<const WeightFigures>(),
          std::make_shared<const FormatFigures>(formats)};
}

Model in_floats(const std::string& name) {
  Preset preset = read_preset(find_preset("models", name));
  for (const std::string table : {"dense", "experts"}) {
    for (const auto& [key, value] : {std::pair{".bits", 16.0}, {".group_size", 1.0}, {".scale_bits", 0.0}})
      preset = with_value(std::move(preset), table + key, value);
  }
  return make_model(preset);
}

Done step(const Scheme& scheme, const System& system, const Model& model, const Serving& serving) {
  const Placement placement = place(system, scheme, model, serving, model.moe_layers);
  return at_means(system, model, scheme.plan(system, model, serving, placement).round, {4, 4, 4, 4});
}

TEST(Coding, a_name_and_what_stands_behind_it) {
  std::vector<std::string> codings;
  EXPECT_EQ(without_codings("eagle+bstc+brcr", codings), "eagle");
  EXPECT_EQ(codings, (std::vector<std::string>{"bstc", "brcr"}));
  codings.clear();
  EXPECT_EQ(without_codings("ar", codings), "ar");
  EXPECT_TRUE(codings.empty());
}

/// 8 + 1.079 x 2.6 of 16 bits, of dense weights and experts alike.
TEST(Coding, dfloat11_takes_less_room_and_moves_less) {
  const Model model = in_floats("qwen3-30b-a3b");
  const Scheme plain = autoregressive(), coded = find_scheme("ar+dfloat11");
  EXPECT_EQ(coded.name, "ar+dfloat11");
  const double share = dfloat11_bits(2.6) / 16;
  EXPECT_DOUBLE_EQ(dense_bytes(coded.stored(model)), share * dense_bytes(model));
  EXPECT_DOUBLE_EQ(coded.items(model, {}).front().bytes, share * expert_bytes(model));
  const System system = read_system("xpu");
  const Serving serving{0, 1, 0, 8};
  const Done before = step(plain, system, model, serving), after = step(coded, system, model, serving);
  EXPECT_NEAR(bytes_read(system, after.work) / bytes_read(system, before.work), share, 1e-12);
  EXPECT_NEAR(after.seconds / before.seconds, share, 0.02);  // LPDDR is slower than the decoder
}

/// Where memory is fast the decoder decides: on the machine that its rate was taken from a step takes twice as long.
TEST(Coding, dfloat11_takes_time_to_decode) {
  const System system = read_system("a100");
  const Model model = read_model("llama-3.1-8b");
  const Serving serving{0, 1, 0, 8};
  const auto seconds = [&](const char* name) {
    const Scheme scheme = find_scheme(name);
    return at_means(system, model, scheme.plan(system, model, serving, place(system, scheme, model, serving, 0)).round,
                    {})
               .seconds -
           system.overheads.layer * 32;
  };
  EXPECT_NEAR(seconds("ar+dfloat11") / seconds("ar"), 2, 0.02);
}

TEST(Coding, counts_of_real_weights_take_the_place_of_what_is_published) {
  const BitSlices counted = counted_weights();
  const Scheme scheme = find_scheme("ar+dfloat11", &counted);
  const Model model = in_floats("qwen3-30b-a3b");
  EXPECT_DOUBLE_EQ(scheme.stored(model).dense_format.stored_bits(), counted.formats->lossless->bits_per_weight);
  const Constant& constant = scheme.preset.constants.front();
  EXPECT_EQ(constant.status, "measured");
  EXPECT_EQ(constant.file, "bits.json");
}

/// Scales of groups of 32 take what was counted with these; a scale a row takes the other.
TEST(Coding, planes_are_those_of_the_scales_that_the_weights_have) {
  const BitSlices counted = counted_weights();
  const Model grouped = read_model("qwen3-30b-a3b");
  Preset preset = grouped.preset;
  for (const char* key : {"dense.group_size", "experts.group_size"}) preset = with_value(std::move(preset), key, 2048);
  const Model by_row = make_model(preset);
  const Scheme scheme = find_scheme("ar+bstc+brcr", &counted);
  const MergedFigures& of_groups = counted.formats->by_group.by_rows[3];
  const MergedFigures& of_rows = counted.formats->by_channel->by_rows[3];
  EXPECT_NE(of_groups.paying_bits, of_rows.paying_bits);
  EXPECT_DOUBLE_EQ(scheme.stored(grouped).expert_format.stored_bits(), of_groups.paying_bits + 0.5);
  EXPECT_DOUBLE_EQ(scheme.stored(by_row).expert_format.stored_bits(), of_rows.paying_bits + 16. / 2048);
  EXPECT_DOUBLE_EQ(scheme.stored(grouped).dense_format.multiplied_share(8, 8), 1 / of_groups.dense_over_merged);
  const System system = read_system("xpu");
  const Serving serving{1024, 1, 0, 8};
  const Done before = step(autoregressive(), system, grouped, serving), after = step(scheme, system, grouped, serving);
  EXPECT_LT(bytes_read(system, after.work), bytes_read(system, before.work));
  EXPECT_LT(operations_of(system, after.work), operations_of(system, before.work));
}

/// Weights stay; what is read of keys and values is the stated share.
TEST(Coding, bgpp_reads_a_share_of_the_cache_and_says_so) {
  const System system = read_system("xpu");
  const Model model = read_model("qwen3-30b-a3b");
  const auto bytes = [&](const char* name, std::uint32_t context) {
    return bytes_read(system, step(find_scheme(name), system, model, {context, 1, 0, 8}).work);
  };
  const double cache = bytes("ar", 1024) - bytes("ar", 0);
  EXPECT_NEAR(bytes("ar+bgpp", 1024) - bytes("ar+bgpp", 0), 0.35 * cache, 1e-3 * cache);
  const auto notes = coding_notes({find_scheme("ar+bgpp"), autoregressive()});
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_THAT(notes.front(), HasSubstr("lossy"));
}

TEST(Coding, constants_of_a_scheme_and_of_its_coding_change_by_themselves) {
  const Scheme scheme = find_scheme("eagle+bgpp");
  EXPECT_TRUE(has_constant(scheme.preset, "bgpp.kv_read"));
  const Scheme changed = with_constants(scheme, with_value(scheme.preset, "bgpp.kv_read", 0.5));
  EXPECT_EQ(changed.name, "eagle+bgpp");
  EXPECT_DOUBLE_EQ(changed.stored(read_model("qwen3-30b-a3b")).kv_read_share, 0.5);
  EXPECT_EQ(changed.preset.constants.size(), scheme.preset.constants.size());
  const Scheme plain = find_scheme("ar+dfloat11");
  EXPECT_DOUBLE_EQ(with_constants(plain, with_value(plain.preset, "dfloat11.code_bits", 3))
                       .stored(in_floats("qwen3-30b-a3b"))
                       .dense_format.stored_bits(),
                   dfloat11_bits(3));
}

TEST(Coding, what_does_not_go_together_is_refused) {
  EXPECT_THAT(error_of([] { find_scheme("ar+zip"); }),
              HasSubstr("zip: no such coding (expected one of dfloat11, bstc, brcr, bgpp)"));
  EXPECT_THAT(error_of([] { find_scheme("ar+bstc"); }), HasSubstr("bstc: has to be counted of real weights"));
  EXPECT_THAT(error_of([] { find_scheme("ar+bgpp+bgpp"); }), HasSubstr("bgpp a second time"));
  EXPECT_THAT(error_of([] { find_scheme("ar+dfloat11").stored(read_model("qwen3-30b-a3b")); }),
              HasSubstr("dfloat11 codes weights of 16 bits (expected a model that has them, found 8 bits)"));
}

// ---- SPEQ (arXiv 2510.18525)

/// 4 of 16 bits draft, whatever the model has and the study asks for.
TEST(SpeqFloat, drafts_read_a_quarter_and_verifications_all) {
  const System system = read_system("xpu");
  const Model model = read_model("qwen3-30b-a3b"), floats = in_floats("qwen3-30b-a3b");
  const Scheme scheme = find_scheme("speq-fp16");
  const auto bytes = [&](const Scheme& one, const Model& of, std::uint32_t depth) {
    return bytes_read(system, step(one, system, of, {0, 1, depth, 8}).work);
  };
  const double whole = bytes(autoregressive(), floats, 0);
  EXPECT_DOUBLE_EQ(bytes(scheme, model, 0), whole);
  EXPECT_NEAR(bytes(scheme, model, 2), whole * (1 + 2 * 0.25), 1e-9 * whole);
}

// ---- MCBP (arXiv 2509.10372)

/// 0.3 of the bits set, four rows: 5.2 dense additions and 1.56 of set bits for a merged one, in rows without end.
TEST(MergedAdditions, at_the_published_sparsity) {
  const double columns = 1e6, merged = merged_additions(0.3, 4, columns);
  EXPECT_NEAR(4 * columns / merged, 5.26, 0.01);
  EXPECT_NEAR(set_additions(0.3, 4, columns) / merged, 1.58, 0.01);
  EXPECT_NEAR(merged_additions(0.3, 1, 4096), set_additions(0.3, 1, 4096), 1e-6);
}

/// All matrices of two columns and three rows, each as likely: by enumeration.
TEST(MergedAdditions, of_tiny_matrices_by_enumeration) {
  double merged = 0, set = 0;
  for (int a = 0; a < 8; ++a) {
    for (int b = 0; b < 8; ++b) {
      const auto ones = [](int bits) { return __builtin_popcount(static_cast<unsigned>(bits)); };
      // Equal columns merge in one addition; different ones meet in each row that both are part of.
      merged += a == b && a != 0 ? 1 : a != b ? ones(a & b) : 0;
      set += ones(a & b);
    }
  }
  EXPECT_NEAR(merged_additions(0.5, 3, 2), merged / 64, 1e-12);
  EXPECT_NEAR(set_additions(0.5, 3, 2), set / 64, 1e-12);
}

}  // namespace
}  // namespace moecarlo::hw
