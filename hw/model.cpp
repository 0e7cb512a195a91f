#include "hw/model.hpp"

#include "host/support/error.hpp"

namespace moecarlo::hw {
namespace {

constexpr double bits_per_byte = 8;

/// A gated feed-forward network: gate, up, down.
std::vector<Matrix> feed_forward(double hidden, double inner) {
  return {{hidden, inner}, {hidden, inner}, {inner, hidden}};
}

/// Grouped-query attention: keys and values of kv_heads heads are cached.
void read_grouped_attention(PresetReader& reader, Model& model) {
  const double heads = reader.count("attention.query_heads");
  const double head_size = reader.count("attention.head_size");
  const double kv_width = reader.count("attention.kv_heads") * head_size;
  model.attention = {{model.hidden, heads * head_size},
                     {model.hidden, kv_width},
                     {model.hidden, kv_width},
                     {heads * head_size, model.hidden}};
  model.kv_bytes_per_position = 2 * kv_width * model.kv_bits / bits_per_byte;
  model.attention_macs_per_position = 2 * heads * head_size;
}

/// Multi-head latent attention in its absorbed form: one latent and one rotary key are cached, shared by all heads.
/// Source: DeepSeek-V2, arXiv 2405.04434, section 2.1.
void read_latent_attention(PresetReader& reader, Model& model) {
  const double heads = reader.count("attention.query_heads");
  const double kv_rank = reader.count("attention.kv_rank");
  const double rope = reader.count("attention.rope_size");
  const double nope = reader.count("attention.nope_size");
  const double value = reader.count("attention.value_size");
  const double query_width = heads * (nope + rope);
  if (reader.has("attention.query_rank")) {
    const double query_rank = reader.count("attention.query_rank");
    model.attention = {{model.hidden, query_rank}, {query_rank, query_width}};
  } else {
    model.attention = {{model.hidden, query_width}};
  }
  model.attention.push_back({model.hidden, kv_rank + rope});
  model.attention.push_back({kv_rank, heads * (nope + value)});
  model.attention.push_back({heads * value, model.hidden});
  model.kv_bytes_per_position = (kv_rank + rope) * model.kv_bits / bits_per_byte;
  model.attention_macs_per_position = heads * (2 * kv_rank + rope);
}

void read_layers(PresetReader& reader, Model& model) {
  const std::uint32_t layers = reader.count("layers.total");
  if (reader.has("layers.dense")) {
    model.dense_layers = reader.count("layers.dense");
    model.dense_ffn = feed_forward(model.hidden, reader.count("layers.dense_ffn"));
  }
  if (model.dense_layers >= layers)
    fail(ErrorKind::usage, "{}: layers.dense: no MoE layer is left (expected fewer than {}, found {})", model.name,
         layers, model.dense_layers);
  model.moe_layers = layers - model.dense_layers;
}

void read_experts(PresetReader& reader, Model& model) {
  model.experts = reader.count("experts.count");
  model.top_k = reader.count("experts.top_k");
  if (model.top_k > model.experts)
    fail(ErrorKind::usage, "{}: experts.top_k: more than there are experts (expected at most {}, found {})", model.name,
         model.experts, model.top_k);
  const double inner = reader.count("experts.ffn");
  model.expert = feed_forward(model.hidden, inner);
  model.expert_format = read_format(reader, "experts");
  model.moe_dense = {{model.hidden, static_cast<double>(model.experts)}};
  if (reader.has("experts.shared")) {
    const auto shared = feed_forward(model.hidden, inner * reader.count("experts.shared"));
    model.moe_dense.insert(model.moe_dense.end(), shared.begin(), shared.end());
  }
}

}  // namespace

WeightFormat read_format(PresetReader& reader, const std::string& table) {
  return {reader.positive(table + ".bits", "bit"), reader.positive(table + ".group_size", "count"),
          reader.positive(table + ".scale_bits", "bit")};
}

double weights(const std::vector<Matrix>& matrices) {
  double total = 0;
  for (const Matrix& matrix : matrices) total += matrix.weights();
  return total;
}

double expert_bytes(const Model& model) {
  return weights(model.expert) * model.expert_format.stored_bits() / bits_per_byte;
}

double experts_bytes(const Model& model) {
  return model.moe_layers * (model.experts * expert_bytes(model));
}

double dense_bytes(const Model& model) {
  const double total = model.layers() * weights(model.attention) + model.moe_layers * weights(model.moe_dense) +
                       model.dense_layers * weights(model.dense_ffn) + model.lm_head().weights();
  return total * model.dense_format.stored_bits() / bits_per_byte;
}

double kv_bytes_per_token(const Model& model) {
  return model.layers() * model.kv_bytes_per_position;
}

double stored_bytes(const Model& model) {
  const double embedding = model.lm_head().weights() * model.dense_format.stored_bits() / bits_per_byte;
  return dense_bytes(model) + embedding + experts_bytes(model);
}

Model make_model(const Preset& preset) {
  PresetReader reader(preset);
  Model model;
  model.name = preset.name;
  model.hidden = reader.count("layers.hidden");
  model.vocabulary = reader.count("layers.vocabulary");
  model.dense_format = read_format(reader, "dense");
  model.kv_bits = reader.positive("attention.kv_bits", "bit");
  read_layers(reader, model);
  read_experts(reader, model);
  if (reader.has("attention.kv_rank")) {
    read_latent_attention(reader, model);
  } else {
    read_grouped_attention(reader, model);
  }
  model.draft_head = {static_cast<double>(reader.count("draft_head.query_width")),
                      static_cast<double>(reader.count("draft_head.kv_width")),
                      static_cast<double>(reader.count("draft_head.ffn"))};
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
