#include "hw/model/model.hpp"

#include <gmock/gmock.h>

#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

using testing::HasSubstr;

/// The size table of the evaluated models; rounded there to the digits given here.
struct Sizes {
  const char* name;
  double expert_mb, dense_gb, kv_kb_per_token, autoregressive_ms;
};

constexpr Sizes table[] = {{"qwen3-30b-a3b", 5.01, 1.31, 98.3, 32.9},
                           {"glm-4.7-flash", 10.03, 1.96, 54.1, 38.1},
                           {"deepseek-v2-lite", 9.19, 1.17, 31.1, 26.0},
                           {"gpt-oss-20b", 13.22, 1.29, 49.2, 25.8}};

TEST(Model, SizesFollowFromTheShapes) {
  for (const Sizes& sizes : table) {
    const Model model = read_model(sizes.name);
    EXPECT_NEAR(expert_bytes(model) / 1e6, sizes.expert_mb, 0.0051) << sizes.name;
    EXPECT_NEAR(dense_bytes(model) / 1e9, sizes.dense_gb, 0.0051) << sizes.name;
    EXPECT_NEAR(kv_bytes_per_token(model) / 1e3, sizes.kv_kb_per_token, 0.051) << sizes.name;
  }
}

TEST(Model, AutoregressiveStepOfTheXpuIsDensePlusCachePlusTopK) {
  const System xpu = read_system("xpu");
  for (const Sizes& sizes : table) {
    const Model model = read_model(sizes.name);
    const Placement placement = place(xpu, autoregressive(), model, {1024, 1, 0, 8}, model.moe_layers);
    const Projection projection =
        project(xpu, autoregressive(), model, 1024, one_step(model, placement, 1, 0, model.top_k), 8);
    const double bytes =
        dense_bytes(model) + 1024 * kv_bytes_per_token(model) + model.top_k * model.moe_layers * expert_bytes(model);
    EXPECT_NEAR(projection.breakdown.at("seconds"), bytes / (0.99 * 102.4e9), 1e-12) << sizes.name;
    EXPECT_NEAR(projection.breakdown.at("seconds") * 1e3, sizes.autoregressive_ms, 0.051) << sizes.name;
  }
}

TEST(Model, SliceOfFourBitsIsFourAndAHalfBitsAWeightAndMxfp4StaysWhole) {
  const Model qwen = read_model("qwen3-30b-a3b"), gpt = read_model("gpt-oss-20b");
  EXPECT_NEAR(elastic().items(qwen, {1024, 1, 1, 4}).back().bytes / 1e6, 2.65, 0.0051);
  EXPECT_EQ(elastic().items(qwen, {1024, 1, 1, 8}).back().bytes, expert_bytes(qwen));
  for (const std::uint32_t bits : {1U, 4U, 8U})
    EXPECT_EQ(elastic().items(gpt, {1024, 1, 1, bits}).back().bytes, expert_bytes(gpt));
}

TEST(Model, EveryConstantOfAPresetChangesItsSizesOrIsRefused) {
  const auto eagle_bytes = [](const Model& model) {
    const std::vector<Item> items = find_scheme("eagle").items(model, {1024, 1, 1, 8});
    return items.at(0).bytes + items.at(1).bytes;
  };
  const auto sizes = [&](const Model& model) {
    const WeightFormat &dense = model.dense_format, &expert = model.expert_format;
    return std::vector<double>{dense_bytes(model),
                               expert_bytes(model),
                               kv_bytes_per_token(model),
                               stored_bytes(model),
                               model.layers[0].mixer.macs_per_position,
                               static_cast<double>(model.top_k),
                               eagle_bytes(model),
                               dense.stored_bits(4),
                               expert.stored_bits(4)};
  };
  for (const Sizes& entry : table) {
    const Model model = read_model(entry.name);
    for (const Constant& constant : model.preset.constants) {
      std::vector<double> changed;
      const auto change = [&] { changed = sizes(make_model(scaled(model.preset, constant.key, 2))); };
      EXPECT_TRUE(error_of(change) != "no error" || changed != sizes(model)) << entry.name << " " << constant.key;
    }
  }
}

struct Config {
  const char* preset;
  const char* json;
};

constexpr Config configs[] = {
    {"qwen3-30b-a3b", R"({"num_experts": 128, "num_experts_per_tok": 8, "hidden_size": 2048, "intermediate_size": 6144,
      "moe_intermediate_size": 768, "num_hidden_layers": 48, "num_attention_heads": 32, "num_key_value_heads": 4,
      "head_dim": 128, "vocab_size": 151936, "decoder_sparse_step": 1, "mlp_only_layers": []})"},
    {"glm-4.7-flash", R"({"n_routed_experts": 64, "num_experts_per_tok": 4, "n_shared_experts": 1, "hidden_size": 2048,
      "intermediate_size": 10240, "moe_intermediate_size": 1536, "num_hidden_layers": 47, "first_k_dense_replace": 1,
      "num_attention_heads": 20, "num_key_value_heads": 20, "kv_lora_rank": 512, "q_lora_rank": 768,
      "qk_rope_head_dim": 64, "qk_nope_head_dim": 192, "v_head_dim": 256, "vocab_size": 154880})"},
    {"deepseek-v2-lite", R"({"n_routed_experts": 64, "num_experts_per_tok": 6, "n_shared_experts": 2,
      "hidden_size": 2048, "intermediate_size": 10944, "moe_intermediate_size": 1408, "num_hidden_layers": 27,
      "first_k_dense_replace": 1, "moe_layer_freq": 1, "num_attention_heads": 16, "num_key_value_heads": 16,
      "kv_lora_rank": 512, "q_lora_rank": null, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128,
      "vocab_size": 102400})"},
    {"gpt-oss-20b", R"({"num_local_experts": 32, "num_experts_per_tok": 4, "hidden_size": 2880,
      "intermediate_size": 2880, "num_hidden_layers": 24, "num_attention_heads": 64, "num_key_value_heads": 8,
      "head_dim": 64, "vocab_size": 201088, "quantization_config": {"quant_method": "mxfp4"}})"}};

TEST(Model, HuggingFaceConfigGivesThePreset) {
  for (const Config& config : configs) {
    const SampleFile file("config.json", config.json);
    const Model read = read_model(file.path()), preset = read_model(config.preset);
    EXPECT_EQ(read.experts, preset.experts) << config.preset;
    EXPECT_EQ(read.top_k, preset.top_k) << config.preset;
    EXPECT_EQ(read.moe_layers, preset.moe_layers) << config.preset;
    EXPECT_EQ(expert_bytes(read), expert_bytes(preset)) << config.preset;
    EXPECT_EQ(dense_bytes(read), dense_bytes(preset)) << config.preset;
    EXPECT_EQ(kv_bytes_per_token(read), kv_bytes_per_token(preset)) << config.preset;
    EXPECT_EQ(stored_bytes(read), stored_bytes(preset)) << config.preset;
    EXPECT_EQ(read.layers[0].mixer.macs_per_position, preset.layers[0].mixer.macs_per_position) << config.preset;
  }
}

TEST(Model, MixtralConfigGivesItsParameterCount) {
  const SampleFile file("config.json", R"({"num_local_experts": 8, "num_experts_per_tok": 2, "hidden_size": 4096,
      "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
      "vocab_size": 32000})");
  const Model model = read_model(file.path());
  // Published: 46.7 billion parameters in all, embedding and LM head included.
  EXPECT_NEAR(stored_bytes(model) / (8.5 / 8), 46.7e9, 0.05e9);
}

TEST(Model, SharedExpertOfQwen2CountsByItsWidth) {
  const std::string base = R"({"num_experts": 60, "num_experts_per_tok": 4, "hidden_size": 2048,
      "moe_intermediate_size": 1408, "num_hidden_layers": 24, "num_attention_heads": 16, "vocab_size": 151936)";
  const SampleFile without("config.json", base + "}"),
      with("config.json", base + R"(, "shared_expert_intermediate_size": 5632})");
  EXPECT_NEAR(dense_bytes(read_model(with.path())) - dense_bytes(read_model(without.path())),
              24 * 3.0 * 2048 * 5632 * 8.5 / 8, 1);
}

std::string refusal(const std::string& json) {
  const SampleFile file("config.json", json);
  return error_of([&] { read_model(file.path()); });
}

TEST(Model, ConfigWithoutExpertsIsRefusedByTheKeysItLacks) {
  EXPECT_THAT(refusal(R"({"num_hidden_layers": 2, "hidden_size": 8, "vocab_size": 9, "intermediate_size": 7})"),
              HasSubstr("config.json: no key num_experts or num_local_experts or n_routed_experts"));
  EXPECT_THAT(refusal(R"({"hidden_size": "two"})"),
              HasSubstr("hidden_size: expected a whole number from 0, found \"two\""));
  EXPECT_THAT(refusal("[1, 2]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(refusal("{"), HasSubstr("config.json:1:2: not valid JSON"));
}

TEST(Model, ConfigWithAnImpossibleShapeIsRefusedByItsKey) {
  EXPECT_THAT(refusal(R"({"num_experts": 4, "num_experts_per_tok": 5, "hidden_size": 8, "moe_intermediate_size": 4,
      "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 9})"),
              HasSubstr("experts.top_k: more than there are experts (expected at most 4, found 5)"));
  EXPECT_THAT(refusal(R"({"num_experts": 4, "num_experts_per_tok": 1, "hidden_size": 8, "moe_intermediate_size": 4,
      "num_hidden_layers": 2, "num_attention_heads": 0, "vocab_size": 9})"),
              HasSubstr("config.json: num_attention_heads: expected at least 1, found 0"));
}

}  // namespace
}  // namespace moecarlo::hw
