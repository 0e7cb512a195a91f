#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "hw/model/model.hpp"
#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

using nlohmann::json;
using testing::HasSubstr;

/// A small model of eight layers that is read.
json sample() {
  return {{"model_type", "qwen3_moe"},   {"hidden_size", 64},
          {"intermediate_size", 96},     {"moe_intermediate_size", 16},
          {"num_hidden_layers", 8},      {"num_attention_heads", 4},
          {"num_key_value_heads", 2},    {"num_experts", 8},
          {"num_experts_per_tok", 2},    {"vocab_size", 100},
          {"tie_word_embeddings", false}};
}

Model read(const json& config) {
  const SampleFile file("config.json", config.dump());
  return read_model(file.path());
}

std::string refusal(const json& changes) {
  json config = sample();
  config.update(changes);
  return error_of([&] { read(config); });
}

std::vector<std::uint32_t> moe_layers(const json& changes) {
  json config = sample();
  config.update(changes);
  const Model model = read(config);
  return {model.moe_layers, count_layers(model)};
}

TEST(Config, UnknownKeysAreRefusedByName) {
  EXPECT_THAT(refusal({{"num_mystery_blocks", 4}}), HasSubstr("\"num_mystery_blocks\": unknown, and may change"));
  EXPECT_THAT(refusal({{"wormholes", json::array({1, 2})}}), HasSubstr("\"wormholes\": unknown"));
  EXPECT_THAT(refusal({{"use_wormholes", true}}), HasSubstr("\"use_wormholes\": unknown"));
  EXPECT_THAT(refusal({{"bell\u0007", 4}}), HasSubstr("\"bell\\u0007\": unknown"));
}

TEST(Config, KeysThatAreOffOrScaleOrTrainMayStand) {
  EXPECT_EQ(refusal({{"use_wormholes", false}, {"wormholes", nullptr}, {"wormhole_strength", 0.5}}), "no error");
  EXPECT_EQ(
      refusal({{"rope_theta", 10000}, {"attention_dropout", 1}, {"bos_token_id", 1}, {"torch_dtype", "bfloat16"}}),
      "no error");
}

TEST(Config, MisspeltKeysAreRefusedWithTheNearestName) {
  EXPECT_THAT(refusal({{"tie_word_embedings", false}}), HasSubstr("unknown (is it tie_word_embeddings?)"));
  EXPECT_THAT(refusal({{"num_key_value_head", 1}}), HasSubstr("unknown (is it num_key_value_heads?)"));
  json config = sample();
  config.erase("num_experts_per_tok");
  config["num_expert_per_tok"] = 2;
  EXPECT_THAT(error_of([&] { read(config); }), HasSubstr("no key num_experts_per_tok"));
}

/// A key of a kind that says nothing about sizes may still be a misspelt one that does.
TEST(Config, MisspeltKeysAreRefusedWhateverTheyBeginWith) {
  EXPECT_THAT(refusal({{"hc_mullt", 4}}), HasSubstr("unknown (is it hc_mult?)"));
  EXPECT_THAT(refusal({{"no_rope_layerrs", json(8, 1)}}), HasSubstr("unknown (is it no_rope_layers?)"));
  EXPECT_THAT(refusal({{"quantization_conffig", {{"quant_method", "mxfp4"}}}}),
              HasSubstr("unknown (is it quantization_config?)"));
  EXPECT_THAT(refusal({{"quantization_config", {{"quant_metod", "mxfp4"}}}}), HasSubstr("(is it quant_method?)"));
}

TEST(Config, KeysThatContradictEachOtherAreRefused) {
  EXPECT_THAT(refusal({{"num_local_experts", 16}}), HasSubstr("num_local_experts: contradicts num_experts"));
  EXPECT_THAT(refusal({{"layer_types", json::array({"full_attention"})}}),
              HasSubstr("layer_types: expected an entry for each of 8 layers, found 1"));
  EXPECT_THAT(refusal({{"mlp_layer_types", json(8, "sparse")}, {"first_k_dense_replace", 1}}),
              HasSubstr("first_k_dense_replace: contradicts mlp_layer_types"));
  EXPECT_THAT(refusal({{"first_k_dense_replace", 9}}), HasSubstr("first_k_dense_replace: expected at most 8 layers"));
  EXPECT_THAT(refusal({{"mlp_only_layers", json::array({8})}}), HasSubstr("mlp_only_layers: no such layer"));
  EXPECT_THAT(refusal({{"layer_types", json(8, "full_attention")}, {"full_attention_interval", 4}}),
              HasSubstr("full_attention_interval: contradicts layer_types in layer 0"));
  EXPECT_THAT(refusal({{"num_experts_per_tok", 9}}), HasSubstr("more than there are experts"));
}

TEST(Config, WhatIsNotModelledIsRefusedByItsKey) {
  EXPECT_THAT(refusal({{"model_type", "wormhole_moe"}}),
              HasSubstr("model_type: the family \"wormhole_moe\" is not modelled"));
  EXPECT_THAT(refusal({{"layer_types", json(8, "wormhole")}}),
              HasSubstr("layers of kind \"wormhole\" are not modelled"));
  EXPECT_THAT(refusal({{"layer_types", json(8, "linear_attention")}}),
              HasSubstr("this family has no recurrent layers"));
  EXPECT_THAT(refusal({{"is_encoder_decoder", true}}), HasSubstr("encoders are not modelled"));
  EXPECT_THAT(refusal({{"add_cross_attention", true}}), HasSubstr("add_cross_attention: attention to an encoder"));
  EXPECT_THAT(refusal({{"use_moe", false}}), HasSubstr("use_moe: expected true"));
  EXPECT_THAT(refusal({{"use_cla", true}}), HasSubstr("use_cla: layers that share keys and values"));
  EXPECT_THAT(refusal({{"zero_expert_num", 4}}), HasSubstr("zero_expert_num: not modelled"));
  json per_layer = json::object();
  per_layer["3"] = {{"num_experts", 4}};
  EXPECT_THAT(refusal({{"per_layer_config", per_layer}}), HasSubstr("experts that differ between layers"));
  for (const char* layer : {"8", "first", "-1", ""})
    EXPECT_THAT(refusal({{"per_layer_config", {{layer, {{"head_dim", 8}}}}}}), HasSubstr("expected layers 0 to 7"));
  EXPECT_THAT(refusal({{"moe_intermediate_size", json::array({16, 8})}}),
              HasSubstr("expected the same number for every layer"));
}

TEST(Config, LayersWithExpertsFollowEachKeyThatSaysSo) {
  const auto layers = [](std::uint32_t moe) { return std::vector<std::uint32_t>{moe, 8}; };
  EXPECT_EQ(moe_layers(json::object()), layers(8));
  EXPECT_EQ(moe_layers({{"first_k_dense_replace", 3}}), layers(5));
  EXPECT_EQ(moe_layers({{"first_k_dense_replace", 3}, {"moe_layer_freq", 2}}), layers(2));  // 4 and 6
  EXPECT_EQ(moe_layers({{"moe_layer_freq", json::array({0, 1, 1, 1, 0, 1, 1, 1})}}), layers(6));
  EXPECT_EQ(moe_layers({{"decoder_sparse_step", 2}}), layers(4));
  EXPECT_EQ(moe_layers({{"decoder_sparse_step", 2}, {"mlp_only_layers", json::array({1})}}), layers(3));
  EXPECT_EQ(moe_layers({{"moe_layers_enum", "2,3,7"}}), layers(3));
  EXPECT_EQ(moe_layers({{"moe_layers", json::array({0})}}), layers(1));
  EXPECT_EQ(moe_layers({{"expert_layer_period", 4}, {"expert_layer_offset", 1}}), layers(2));
  EXPECT_EQ(moe_layers({{"moe_layer_start_index", 2}, {"moe_layer_end_index", -1}, {"moe_layer_interval", 2}}),
            layers(3));
}

TEST(Config, TheTextPartOfANestedConfigIsRead) {
  json text = sample();
  text.erase("tie_word_embeddings");
  const json nested{{"model_type", "qwen3_vl_moe"},
                    {"tie_word_embeddings", true},
                    {"vision_config", {{"num_mystery_blocks", 3}}},
                    {"text_config", text}};
  const Model model = read(nested);
  EXPECT_TRUE(model.tied_embeddings);
  EXPECT_EQ(total_parameters(model), active_parameters(model) + 8.0 * 6 * 3 * 64 * 16);
}

TEST(Config, NothingAroundTheTextPartContradictsIt) {
  const auto around = [](const json& keys) {
    json nested{{"model_type", "qwen3_vl_moe"}, {"text_config", sample()}};
    nested.update(keys);
    return error_of([&] { read(nested); });
  };
  EXPECT_EQ(around({{"num_experts", 8}, {"projector_hidden_size", 32}, {"vision_config", {{"num_experts", 9}}}}),
            "no error");
  EXPECT_THAT(around({{"num_experts", 16}}), HasSubstr("num_experts: contradicts that of the text part"));
  EXPECT_THAT(around({{"first_k_dense_replace", 1}}), HasSubstr("first_k_dense_replace: stands outside the text part"));
  EXPECT_THAT(around({{"text_confg", json::object()}}), HasSubstr("unknown (is it text_config?)"));
  EXPECT_THAT(around({{"llm_config", sample()}}), HasSubstr("llm_config: contradicts text_config"));
}

TEST(Config, TablesOfSizesAgreeWithWhatStandsBesideThem) {
  json config = sample();
  config.erase("num_experts");
  config["ffn_config"] = {{"num_experts", 8}};
  EXPECT_EQ(total_parameters(read(config)), total_parameters(read(sample())));
  config["num_experts"] = 16;
  EXPECT_THAT(error_of([&] { read(config); }), HasSubstr("num_experts: contradicts that of ffn_config"));
  config["num_experts"] = nullptr;
  config["ffn_config"]["wormholes"] = 3;
  EXPECT_THAT(error_of([&] { read(config); }), HasSubstr("\"wormholes\": unknown"));
}

TEST(Config, PythonsNumbersAreTakenWhereNobodyReadsThem) {
  json config = sample();
  for (const char* key : {"head_dim", "num_key_value_heads"}) config.erase(key);
  const auto open_text = [](const json& object) {
    const std::string text = object.dump();
    return text.substr(0, text.size() - 1);
  };
  const std::string text = open_text(sample());
  const SampleFile good("config.json", text + R"(, "time_step_limit": [0.0, Infinity], "rope_theta": NaN,
      "_name": "Infinity \" NaN"})"),
      bad("config.json", open_text(config) + R"(, "head_dim": -Infinity, "num_key_value_heads": [Infinity]})");
  EXPECT_EQ(total_parameters(read_model(good.path())), total_parameters(read(sample())));
  EXPECT_THAT(error_of([&] { read_model(bad.path()); }), HasSubstr("num_key_value_heads: expected a whole number"));
}

TEST(Config, LayersOfEveryKindHaveTheirWeights) {
  // One full layer in four with a gate, the others gated delta; in all of them experts, shared ones and a router.
  json config = sample();
  config.update({{"model_type", "qwen3_next"},
                 {"head_dim", 32},
                 {"linear_num_key_heads", 2},
                 {"linear_key_head_dim", 8},
                 {"linear_num_value_heads", 4},
                 {"linear_value_head_dim", 8},
                 {"linear_conv_kernel_dim", 4},
                 {"shared_expert_intermediate_size", 24}});
  const Model model = read(config);
  const double attention = 64 * 128.0 * 3 + 2 * 64 * 64.0;  // query, gate and output; key and value
  const double delta = 64 * (16 + 16 + 32 + 32 + 4 + 4.0) + 4 * (16 + 16 + 32.0) + 32 * 64.0;
  const double beside = 64 * 8.0 + 3 * 64 * 24.0;
  const double experts = 8 * 3 * 64 * 16.0;
  EXPECT_EQ(total_parameters(model), 2 * attention + 6 * delta + 8 * (beside + experts) + 2 * 64 * 100.0);
  EXPECT_EQ(kv_bytes_per_token(model), 2 * 2 * 2 * 32 * 2.0);
  const double state = 6 * (4 * 8 * 8 + 3 * (16 + 16 + 32)) * 4.0;  // FP32
  EXPECT_EQ(request_bytes(model, 10), 10 * kv_bytes_per_token(model) + state);
}

TEST(Config, ChosenPositionsAreReadAndAllAreCached) {
  json config = sample();
  config.update({{"model_type", "deepseek_v32"},
                 {"kv_lora_rank", 16},
                 {"q_lora_rank", 24},
                 {"qk_rope_head_dim", 4},
                 {"qk_nope_head_dim", 8},
                 {"v_head_dim", 8},
                 {"index_n_heads", 2},
                 {"index_head_dim", 6},
                 {"index_topk", 100}});
  const Mixer mixer = read(config).layers[0].mixer;
  EXPECT_EQ(mixer.cached_bytes(1000), 1000 * (16 + 4 + 6) * 2.0);
  EXPECT_EQ(mixer.read_bytes(1000), (1000 * 6 + 100 * (16 + 4)) * 2.0);
  EXPECT_EQ(mixer.read_bytes(50), 50 * (16 + 4 + 6) * 2.0);
  EXPECT_EQ(mixer.macs(1000), 1000 * 2 * 6 + 100 * 4 * (2 * 16 + 4.0));
}

}  // namespace
}  // namespace moecarlo::hw
