#include <limits>

#include "tests/trace/broken_rule.hpp"

namespace moecarlo {
namespace {

using namespace moecarlo::testing;

class BrokenTrace : public ::testing::TestWithParam<BrokenRule> {};

TEST_P(BrokenTrace, IsRefusedByName) {
  expect_refused(GetParam());
}

void spoil_ids(hid_t file, std::size_t element, std::int64_t value) {
  auto ids = small_ids();
  ids[element] = value;
  put_integers(file, "expert_ids", H5T_STD_I16LE, {tokens, layers, top_k}, ids);
}

void spoil_logits(hid_t file, hid_t type, float value) {
  auto logits = small_logits();
  logits[(3 * layers + 1) * experts + 5] = value;
  put_floats(file, "router_logits", type, {tokens, layers, experts}, logits);
}

const float nan = std::numeric_limits<float>::quiet_NaN();
const float infinity = std::numeric_limits<float>::infinity();

const BrokenRule attributes[] = {
    {"NoSchema", [](hid_t f) { remove_attribute(f, "schema"); }, {"/@schema", "missing"}},
    {"OtherSchema", [](hid_t f) { set_text(f, "schema", "other"); }, {"/@schema", "expected moecarlo-trace"}},
    {"SchemaIsNumber", [](hid_t f) { set_number(f, "schema", 1); }, {"/@schema", "expected a string"}},
    {"NoVersion", [](hid_t f) { remove_attribute(f, "schema_version"); }, {"/@schema_version", "missing"}},
    {"VersionTwo", [](hid_t f) { set_number(f, "schema_version", 2); }, {"/@schema_version", "found 2"}},
    {"VersionIsText", [](hid_t f) { set_text(f, "schema_version", "1"); }, {"/@schema_version", "expected an integer"}},
    {"NoModel", [](hid_t f) { remove_attribute(f, "model"); }, {"/@model", "missing"}},
    {"NoExperts", [](hid_t f) { remove_attribute(f, "num_experts"); }, {"/@num_experts", "missing"}},
    {"TooManyExperts", [](hid_t f) { set_number(f, "num_experts", 1025); }, {"/@num_experts", "1 to 1024"}},
    {"NegativeExperts", [](hid_t f) { set_number(f, "num_experts", -8); }, {"/@num_experts", "found -8"}},
    {"TopKAboveExperts", [](hid_t f) { set_number(f, "top_k", 9); }, {"/@top_k", "1 to 8", "found 9"}},
    {"TopKZero", [](hid_t f) { set_number(f, "top_k", 0); }, {"/@top_k", "found 0"}},
    {"UnknownScoring", [](hid_t f) { set_text(f, "scoring", "relu"); }, {"/@scoring", "topk_softmax", "relu"}},
    {"RenormalizeTwo", [](hid_t f) { set_number(f, "renormalize", 2); }, {"/@renormalize", "0 to 1"}},
    {"GroupsWithoutTopKGroups", [](hid_t f) { set_number(f, "num_groups", 4); }, {"/@top_k_groups", "missing"}},
    {"TopKGroupsWithoutGroups", [](hid_t f) { set_number(f, "top_k_groups", 1); }, {"/@num_groups", "missing"}},
    {"UnequalGroups",
     [](hid_t f) {
       set_number(f, "num_groups", 3);
       set_number(f, "top_k_groups", 1);
     },
     {"/@num_groups", "divisor of 8"}},
    {"TooManyGroupsKept",
     [](hid_t f) {
       set_number(f, "num_groups", 4);
       set_number(f, "top_k_groups", 5);
     },
     {"/@top_k_groups", "1 to 4"}},
    {"KeptGroupsTooSmall",
     [](hid_t f) {
       set_number(f, "num_groups", 8);
       set_number(f, "top_k_groups", 1);
     },
     {"/@top_k_groups", "at least top_k = 2"}},
    {"TooManyZeroExperts",
     [](hid_t f) { set_number(f, "zero_computation_experts", 1025); },
     {"/@zero_computation_experts", "0 to 1024"}},
    {"GroupsMisspelt", [](hid_t f) { set_number(f, "num_group", 8); }, {"/@num_group", "unknown (is it num_groups?)"}},
};

const BrokenRule routing[] = {
    {"NoRouting", [](hid_t f) { remove_object(f, "expert_ids"); }, {"neither router_logits nor expert_ids"}},
    {"BothForms",
     [](hid_t f) {
       put_floats(f, "router_logits", H5T_IEEE_F32LE, {tokens, layers, experts}, small_logits());
     },
     {"both router_logits and expert_ids"}},
    {"RoutingIsGroup",
     [](hid_t f) {
       remove_object(f, "expert_ids");
       H5Gclose(H5Gcreate2(f, "expert_ids", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
     },
     {"/expert_ids", "not a readable dataset"}},
    {"WrongRank",
     [](hid_t f) {
       put_integers(f, "expert_ids", H5T_STD_U8LE, {tokens, layers * top_k}, small_ids());
     },
     {"/expert_ids", "wrong extents", "[6, 4]"}},
    {"WrongWidth",
     [](hid_t f) {
       put_integers(f, "expert_ids", H5T_STD_U8LE, {tokens, top_k * layers, 1}, small_ids());
     },
     {"/expert_ids", "wrong extents", "found [6, 4, 1]"}},
    {"NoTokens",
     [](hid_t f) {
       put_integers(f, "expert_ids", H5T_STD_U8LE, {0, layers, top_k}, {});
     },
     {"/expert_ids", "found [0, 2, 2]"}},
    {"TooManyLayers",
     [](hid_t f) {
       put_integers(f, "expert_ids", H5T_STD_U8LE, {1, 1025, top_k}, std::vector<std::int64_t>(1025 * top_k));
     },
     {"/expert_ids", "1 to 1024 layers"}},
    {"IdsAreFloats",
     [](hid_t f) {
       put_floats(f, "expert_ids", H5T_IEEE_F32LE, {tokens, layers, top_k}, std::vector<float>(24));
     },
     {"/expert_ids", "expected integers", "float32"}},
    {"LogitsAreIntegers",
     [](hid_t f) {
       put_integers(f, "router_logits", H5T_STD_I32LE, {tokens, layers, experts}, std::vector<std::int64_t>(96));
     },
     {"/router_logits", "expected float16 or float32", "int32"},
     true},
    {"LogitsAreDoubles",
     [](hid_t f) {
       put_floats(f, "router_logits", H5T_IEEE_F64LE, {tokens, layers, experts}, small_logits());
     },
     {"/router_logits", "float64"},
     true},
    {"LogitsWrongWidth",
     [](hid_t f) {
       put_floats(f, "router_logits", H5T_IEEE_F32LE, {tokens, layers * 2, 4}, small_logits());
     },
     {"/router_logits", "wrong extents"},
     true},
    {"NanInHalf", [](hid_t f) { spoil_logits(f, float16_type(), nan); }, {"/router_logits", "NaN", "[3, 1, 5]"}, true},
    {"InfinityInHalf", [](hid_t f) { spoil_logits(f, float16_type(), infinity); }, {"infinite", "[3, 1, 5]"}, true},
    {"NanInSingle", [](hid_t f) { spoil_logits(f, H5T_IEEE_F32LE, nan); }, {"NaN", "[3, 1, 5]"}, true},
    {"InfinityInSingle", [](hid_t f) { spoil_logits(f, H5T_IEEE_F32LE, -infinity); }, {"infinite", "[3, 1, 5]"}, true},
    {"IdTooLarge", [](hid_t f) { spoil_ids(f, 10, 8); }, {"/expert_ids", "0 to 7, found 8", "[2, 1, 0]"}},
    {"IdNegative", [](hid_t f) { spoil_ids(f, 23, -1); }, {"/expert_ids", "found -1", "[5, 1, 1]"}},
    {"IdTwice", [](hid_t f) { spoil_ids(f, 5, 1); }, {"/expert_ids", "expert 1 twice", "[1, 0, 1]"}},
    {"WeightsWithLogits",
     [](hid_t f) {
       put_floats(f, "expert_weights", H5T_IEEE_F32LE, {tokens, layers, top_k}, std::vector<float>(24));
     },
     {"/expert_weights", "not allowed"},
     true},
    {"WeightsShort",
     [](hid_t f) {
       put_floats(f, "expert_weights", H5T_IEEE_F32LE, {tokens, layers, 1}, std::vector<float>(12));
     },
     {"/expert_weights", "wrong extents", "found [6, 2, 1]"}},
    {"WeightNan",
     [](hid_t f) {
       std::vector<float> weights(24, 0.5F);
       weights[7] = nan;
       put_floats(f, "expert_weights", float16_type(), {tokens, layers, top_k}, weights);
     },
     {"/expert_weights", "NaN", "[1, 1, 1]"}},
};

const BrokenRule structure[] = {
    {"NoOffsets", [](hid_t f) { remove_object(f, "sequence_offsets"); }, {"/sequence_offsets", "missing"}},
    {"OffsetsStartLate",
     [](hid_t f) {
       put_integers(f, "sequence_offsets", H5T_STD_I64LE, {3}, {1, 4, 6});
     },
     {"/sequence_offsets", "first offset is not 0"}},
    {"OffsetsDescend",
     [](hid_t f) {
       put_integers(f, "sequence_offsets", H5T_STD_I64LE, {4}, {0, 4, 3, 6});
     },
     {"/sequence_offsets", "do not ascend", "[2]"}},
    {"EmptySequence",
     [](hid_t f) {
       put_integers(f, "sequence_offsets", H5T_STD_I64LE, {4}, {0, 4, 4, 6});
     },
     {"/sequence_offsets", "do not ascend"}},
    {"OffsetsEndEarly",
     [](hid_t f) {
       put_integers(f, "sequence_offsets", H5T_STD_I64LE, {3}, {0, 4, 5});
     },
     {"/sequence_offsets", "expected 6, found 5"}},
    {"OneOffset",
     [](hid_t f) { put_integers(f, "sequence_offsets", H5T_STD_I64LE, {1}, {0}); },
     {"/sequence_offsets", "wrong extents"}},
    {"OffsetsAreFloats",
     [](hid_t f) {
       put_floats(f, "sequence_offsets", H5T_IEEE_F64LE, {3}, {0, 4, 6});
     },
     {"/sequence_offsets", "expected integers"}},
    {"PhaseTwo",
     [](hid_t f) {
       put_integers(f, "phase", H5T_STD_U8LE, {tokens}, {0, 1, 2, 1, 0, 1});
     },
     {"/phase", "[2]", "0 to 1, found 2"}},
    {"PhaseShort",
     [](hid_t f) {
       put_integers(f, "phase", H5T_STD_U8LE, {5}, {0, 1, 1, 1, 0});
     },
     {"/phase", "wrong extents"}},
    {"TokenIdsShort",
     [](hid_t f) {
       put_integers(f, "token_ids", H5T_STD_I32LE, {5}, {0, 1, 1, 1, 0});
     },
     {"/token_ids", "wrong extents"}},
    {"LayerNumbersShort",
     [](hid_t f) { put_integers(f, "layer_numbers", H5T_STD_I32LE, {1}, {0}); },
     {"/layer_numbers", "wrong extents"}},
    {"BiasWrongShape",
     [](hid_t f) {
       put_floats(f, "selection_bias", H5T_IEEE_F32LE, {experts, layers}, std::vector<float>(16));
     },
     {"/selection_bias", "[layers, experts] = [2, 8], found [8, 2]"}},
    {"BiasNan",
     [](hid_t f) {
       put_floats(f, "selection_bias", H5T_IEEE_F32LE, {layers, experts}, std::vector<float>(16, nan));
     },
     {"/selection_bias", "NaN"}},
    {"PhaseMisspelt",
     [](hid_t f) {
       put_integers(f, "phases", H5T_STD_U8LE, {tokens}, {0, 1, 1, 1, 0, 1});
     },
     {"/phases", "unknown (is it phase?)"}},
    {"BiasMisspelt",
     [](hid_t f) {
       put_floats(f, "slection_bias", H5T_IEEE_F32LE, {layers, experts}, std::vector<float>(16));
     },
     {"/slection_bias", "unknown (is it selection_bias?)"}},
    {"BiasAbsurd",
     [](hid_t f) {
       put_floats(f, "selection_bias", H5T_IEEE_F32LE, {layers, experts}, std::vector<float>(16, 1e38F));
     },
     {"/selection_bias", "out of range"}},
};

INSTANTIATE_TEST_SUITE_P(Attributes, BrokenTrace, ::testing::ValuesIn(attributes), name_of);
INSTANTIATE_TEST_SUITE_P(Routing, BrokenTrace, ::testing::ValuesIn(routing), name_of);
INSTANTIATE_TEST_SUITE_P(Structure, BrokenTrace, ::testing::ValuesIn(structure), name_of);

}  // namespace
}  // namespace moecarlo
