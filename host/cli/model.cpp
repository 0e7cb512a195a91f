#include "hw/model/model.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "host/cli/commands.hpp"
#include "host/cli/terminal.hpp"

namespace moecarlo::cli {
namespace {

using Json = nlohmann::ordered_json;
using hw::LayerKind;
using hw::Model;

struct ModelOptions {
  std::string name;
  bool json = false;
};

/// A number without a fraction, printed as one.
std::uint64_t whole(double number) {
  return static_cast<std::uint64_t>(number);
}

Json to_json(const Model& model) {
  Json kinds = Json::array();
  for (const LayerKind& kind : model.layers) {
    kinds.push_back({{"mixer", kind.mixer_name},
                     {"feed_forward", kind.feed_forward_name},
                     {"count", kind.count},
                     {"dense_parameters", whole(hw::weights(kind.mixer.matrices) + hw::weights(kind.dense))},
                     {"kv_bytes_per_token", kind.mixer.bytes_per_position},
                     {"window", kind.mixer.window > 0 ? Json(whole(kind.mixer.window)) : Json(nullptr)},
                     {"state_bytes", kind.mixer.state_bytes}});
  }
  return {{"model", model.name},
          {"total_parameters", whole(hw::total_parameters(model))},
          {"active_parameters", whole(hw::active_parameters(model))},
          {"dense_bytes", hw::dense_bytes(model)},
          {"expert_bytes", hw::expert_bytes(model)},
          {"experts_bytes", hw::experts_bytes(model)},
          {"embedding_bytes", hw::embedding_bytes(model)},
          {"kv_bytes_per_token", hw::kv_bytes_per_token(model)},
          {"state_bytes", hw::request_bytes(model, 0)},
          {"experts", model.experts},
          {"top_k", model.top_k},
          {"tied_embeddings", model.tied_embeddings},
          {"moe_layers", model.moe_layers},
          {"layers", hw::count_layers(model)},
          {"kinds", kinds}};
}

std::string describe(const LayerKind& kind) {
  const bool mixes = kind.mixer_name != "none", feeds = kind.feed_forward_name != "none";
  const std::string window = kind.mixer.window > 0 ? fmt::format(" (window {})", kind.mixer.window) : std::string();
  return fmt::format("{} {}{}{}{}", kind.count, mixes ? kind.mixer_name : "", window, mixes && feeds ? " + " : "",
                     feeds ? kind.feed_forward_name : "");
}

void print_text(const Model& model) {
  std::string kinds;
  for (const LayerKind& kind : model.layers) kinds += (kinds.empty() ? "" : ", ") + describe(kind);
  const double states = hw::request_bytes(model, 0);
  say("{}: {:.2f} billion parameters, {:.2f} of them for each token\n", model.name, hw::total_parameters(model) / 1e9,
      hw::active_parameters(model) / 1e9);
  say("layers      {}: {}\n", hw::count_layers(model), kinds);
  if (!model.is_dense())
    say("experts     {} in each of {} layers, top {}; {:.2f} MB each, {:.2f} GB in all\n", model.experts,
        model.moe_layers, model.top_k, hw::expert_bytes(model) / 1e6, hw::experts_bytes(model) / 1e9);
  say("dense       {:.2f} GB, embedding {}\n", hw::dense_bytes(model) / 1e9,
      model.tied_embeddings ? "tied" : fmt::format("{:.2f} GB", hw::embedding_bytes(model) / 1e9));
  say("KV cache    {:.1f} kB a token{}\n", hw::kv_bytes_per_token(model) / 1e3,
      states > 0 ? fmt::format(", states {:.1f} MB a request", states / 1e6) : "");
}

}  // namespace

void add_model(CLI::App& app, const Common&) {
  auto* command = app.add_subcommand("model", "What is understood of a model: layers by kind, parameters, bytes");
  const auto options = std::make_shared<ModelOptions>();
  command->add_option("MODEL", options->name, "Preset, Hugging Face config.json, or a folder that holds one")
      ->required();
  command->add_flag("--json", options->json, "Print JSON (expert_bytes is one expert, experts_bytes are all)");
  command->footer(
      "Example: moecarlo model qwen3-30b-a3b\n         moecarlo model ~/models/Qwen3-Next/config.json --json");
  command->callback([options] {
    const Model model = hw::read_model(options->name);
    if (options->json) {
      say_json(to_json(model));
    } else {
      print_text(model);
    }
  });
}

}  // namespace moecarlo::cli
