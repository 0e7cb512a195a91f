#include "hw/model/model.hpp"

#include <algorithm>

#include "host/support/error.hpp"
#include "hw/model/huggingface.hpp"

namespace moecarlo::hw {
namespace {

/// Gate, up and down, or up and down alone.
std::uint32_t matrices_of(PresetReader& reader, const std::string& table) {
  if (!reader.has(table + ".matrices")) return 3;
  const std::uint32_t matrices = reader.count(table + ".matrices");
  if (matrices != 2 && matrices != 3)
    fail(ErrorKind::usage, "{}.matrices: expected 2 or 3 (with a gate), found {}", table, matrices);
  return matrices;
}

std::vector<Matrix> read_feed_forward(PresetReader& reader, const std::string& table, double hidden) {
  return feed_forward(hidden, reader.count(table + ".width"), matrices_of(reader, table));
}

/// The dense weights of a layer with experts: the router, shared experts or another network beside the routed ones, and
/// the way into the narrower space in which these may work and back.
std::vector<Matrix> beside_experts(PresetReader& reader, const Model& model) {
  std::vector<Matrix> dense{{model.hidden, static_cast<double>(model.experts)}};
  const auto add = [&](const std::vector<Matrix>& in_and_out) {  // they read what the router reads
    dense.front().outputs += in_and_out.front().outputs;
    dense.push_back(in_and_out.back());
  };
  if (reader.has("experts.shared"))
    add(feed_forward(model.hidden, reader.count("experts.ffn") * static_cast<double>(reader.count("experts.shared")),
                     matrices_of(reader, "experts")));
  if (reader.has("beside.width")) add(read_feed_forward(reader, "beside", model.hidden));
  if (reader.has("experts.latent")) {
    const double latent = reader.count("experts.latent");
    add({{model.hidden, latent}, {latent, model.hidden}});
  }
  return dense;
}

void read_experts(PresetReader& reader, Model& model) {
  model.experts = reader.count("experts.count");
  model.top_k = reader.count("experts.top_k");
  if (model.top_k > model.experts)
    fail(ErrorKind::usage, "{}: experts.top_k: more than there are experts (expected at most {}, found {})", model.name,
         model.experts, model.top_k);
  const double outer = reader.has("experts.latent") ? reader.count("experts.latent") : model.hidden;
  model.expert = feed_forward(outer, reader.count("experts.ffn"), matrices_of(reader, "experts"));
  model.expert_format = read_format(reader, "experts");
}

/// `kinds.MIXER-NETWORK`: so many layers of the mixer and the feed-forward network that these tables describe; either
/// may be "none", and "experts" are the routed ones.
LayerKind read_kind(PresetReader& reader, const std::string& name, const Model& model) {
  const auto dash = name.find('-');
  if (dash == std::string::npos)
    fail(ErrorKind::usage, "{}: kinds.{}: no kind of layer (expected MIXER-NETWORK)", model.name, name);
  LayerKind kind{name.substr(0, dash), name.substr(dash + 1), reader.count("kinds." + name), {}, {}, false};
  if (kind.mixer_name != "none") kind.mixer = read_mixer(reader, kind.mixer_name, {model.hidden, model.kv_bits});
  kind.experts = kind.feed_forward_name == "experts";
  if (kind.experts && model.is_dense())
    fail(ErrorKind::usage, "{}: kinds.{}: no table of experts (expected [experts])", model.name, name);
  if (kind.experts) {
    kind.dense = beside_experts(reader, model);
  } else if (kind.feed_forward_name != "none") {
    kind.dense = read_feed_forward(reader, kind.feed_forward_name, model.hidden);
  }
  if (reader.has("streams.count")) {
    // Factors that read the residual streams and write them, before the mixer and before the network.
    const Matrix factors{reader.count("streams.count") * model.hidden, 1.0 * reader.count("streams.factors")};
    kind.dense.insert(kind.dense.end(), 2, factors);
  }
  return kind;
}

/// All layers alike, but for some without experts.
void read_plain_layers(PresetReader& reader, Model& model) {
  const std::uint32_t layers = reader.count("layers.total");
  const Mixer mixer = read_mixer(reader, "attention", {model.hidden, model.kv_bits});
  if (model.is_dense()) {
    model.layers.push_back({"attention", "ffn", layers, mixer, read_feed_forward(reader, "ffn", model.hidden), false});
    return;
  }
  LayerKind dense{"attention", "ffn", 0, mixer, {}, false};
  if (reader.has("layers.dense")) {
    dense.count = reader.count("layers.dense");
    dense.dense = feed_forward(model.hidden, reader.count("layers.dense_ffn"), 3);
  }
  if (dense.count >= layers)
    fail(ErrorKind::usage, "{}: layers.dense: no MoE layer is left (expected fewer than {}, found {})", model.name,
         layers, dense.count);
  model.layers.push_back({"attention", "experts", layers - dense.count, mixer, beside_experts(reader, model), true});
  if (dense.count > 0) model.layers.push_back(dense);
}

void read_layers(PresetReader& reader, Model& model) {
  if (reader.has_table("kinds")) {
    for (const std::string& name : reader.names("kinds")) model.layers.push_back(read_kind(reader, name, model));
    std::stable_partition(model.layers.begin(), model.layers.end(), [](const LayerKind& one) { return one.experts; });
  } else {
    read_plain_layers(reader, model);
  }
  for (const LayerKind& kind : model.layers) model.moe_layers += kind.experts ? kind.count : 0;
  if (model.moe_layers == 0 && !model.is_dense())
    fail(ErrorKind::usage, "{}: kinds: no layer has experts (expected one MIXER-experts)", model.name);
}

double layer_weights(const Model& model) {
  double total = 0;
  for (const LayerKind& kind : model.layers) total += kind.count * (weights(kind.mixer.matrices) + weights(kind.dense));
  return total;
}

}  // namespace

WeightFormat read_format(PresetReader& reader, const std::string& table) {
  return {reader.positive(table + ".bits", "bit"), reader.positive(table + ".group_size", "count"),
          reader.not_negative(table + ".scale_bits", "bit")};
}

std::uint32_t count_layers(const Model& model) {
  std::uint32_t total = 0;
  for (const LayerKind& kind : model.layers) total += kind.count;
  return total;
}

double active_parameters(const Model& model) {
  return layer_weights(model) + model.lm_head().weights() +
         static_cast<double>(model.moe_layers) * model.top_k * weights(model.expert);
}

double total_parameters(const Model& model) {
  const double not_active = static_cast<double>(model.moe_layers) * (model.experts - model.top_k);
  return active_parameters(model) + not_active * weights(model.expert) +
         (model.tied_embeddings ? 0 : model.lm_head().weights());
}

double expert_bytes(const Model& model) {
  return weights(model.expert) * model.expert_format.stored_bits() / bits_per_byte;
}

double experts_bytes(const Model& model) {
  return model.moe_layers * (model.experts * expert_bytes(model));
}

double dense_bytes(const Model& model) {
  return (layer_weights(model) + model.lm_head().weights()) * model.dense_format.stored_bits() / bits_per_byte;
}

double embedding_bytes(const Model& model) {
  return model.tied_embeddings ? 0 : model.lm_head().weights() * model.dense_format.stored_bits() / bits_per_byte;
}

double stored_bytes(const Model& model) {
  return dense_bytes(model) + embedding_bytes(model) + experts_bytes(model);
}

double kv_bytes_per_token(const Model& model) {
  double total = 0;
  for (const LayerKind& kind : model.layers) total += kind.count * kind.mixer.bytes_per_position;
  return total;
}

double request_bytes(const Model& model, double positions) {
  double total = 0;
  for (const LayerKind& kind : model.layers) total += kind.count * kind.mixer.cached_bytes(positions);
  return total;
}

Model make_model(const Preset& preset) {
  PresetReader reader(preset);
  Model model;
  model.name = preset.name;
  model.hidden = reader.count("layers.hidden");
  model.vocabulary = reader.count("layers.vocabulary");
  model.dense_format = read_format(reader, "dense");
  model.kv_bits = reader.positive("attention.kv_bits", "bit");
  if (reader.has("layers.tied_embeddings")) model.tied_embeddings = reader.yes("layers.tied_embeddings");
  if (reader.has_table("experts")) read_experts(reader, model);
  read_layers(reader, model);
  if (reader.has_table("draft_head")) {
    model.draft_head = {static_cast<double>(reader.count("draft_head.query_width")),
                        static_cast<double>(reader.count("draft_head.kv_width")),
                        static_cast<double>(reader.count("draft_head.ffn"))};
  }
  reader.finish();
  model.preset = preset;
  return model;
}

Model read_model(const std::string& name) {
  const std::filesystem::path path = name;
  if (path.extension() == ".json") return make_model(read_huggingface_config(path));
  if (std::filesystem::is_regular_file(path / "config.json"))
    return make_model(read_huggingface_config(path / "config.json"));
  return make_model(read_preset(find_preset("models", name)));
}

}  // namespace moecarlo::hw
