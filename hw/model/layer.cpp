#include "hw/model/layer.hpp"

#include <array>
#include <string_view>
#include <utility>

#include "host/support/error.hpp"

namespace moecarlo::hw {
namespace {

/// Multiply-accumulates of one token for each number of a state: decay and update, correction, read-out.
constexpr double macs_per_state_number = 3;

/// Rows of one table.
class Table {
 public:
  Table(PresetReader& reader, const std::string& name) : reader_(reader), name_(name) {}

  double count(std::string_view key) const { return reader_.count(fmt::format("{}.{}", name_, key)); }
  bool has(std::string_view key) const { return reader_.has(fmt::format("{}.{}", name_, key)); }
  double count_or(std::string_view key, double otherwise) const { return has(key) ? count(key) : otherwise; }
  double bits(std::string_view key) const { return reader_.positive(fmt::format("{}.{}", name_, key), "bit"); }

 private:
  PresetReader& reader_;
  const std::string& name_;
};

void add_state(const Table& table, double numbers, double convolved, Mixer& mixer) {
  mixer.state_bytes = (numbers + convolved) * table.bits("state_bits") / bits_per_byte;
  mixer.state_macs = macs_per_state_number * numbers;
}

/// A causal convolution over the last `kernel` tokens of each channel; the last but one are part of the state.
double add_convolution(const Table& table, double channels, Mixer& mixer) {
  const double kernel = table.count("kernel");
  mixer.matrices.push_back({kernel, channels});
  return (kernel - 1) * channels;
}

/// Another projection of what the first matrix multiplies, the layer's input.
void add_beside_first(Mixer& mixer, double outputs) {
  mixer.matrices.front().outputs += outputs;
}

/// Projection of the queries, through a low rank where there is one.
std::vector<Matrix> queries(const Table& table, double width, const LayerSizes& sizes) {
  if (!table.has("query_rank")) return {{sizes.hidden, width}};
  const double rank = table.count("query_rank");
  return {{sizes.hidden, rank}, {table.count_or("query_inputs", rank), width}};
}

/// Keys and values of kv_heads heads are cached. Where they are one projection they are still cached as two.
Mixer grouped_attention(const Table& table, const LayerSizes& sizes) {
  const double heads = table.count("query_heads"), kv_heads = table.count("kv_heads");
  const double size = table.count("head_size"), value = table.count_or("value_size", size);
  Mixer mixer;
  mixer.matrices = queries(table, heads * size, sizes);
  add_beside_first(mixer, kv_heads * size);
  if (table.count_or("projections_of_keys_and_values", 2) != 1) add_beside_first(mixer, kv_heads * value);
  mixer.matrices.push_back({heads * value, sizes.hidden});
  mixer.bytes_per_position = kv_heads * (size + value) * sizes.kv_bits / bits_per_byte;
  mixer.macs_per_position = heads * (size + value);
  return mixer;
}

/// In its absorbed form: one latent and one rotary key are cached, shared by all heads. Source: DeepSeek-V2,
/// arXiv 2405.04434, section 2.1.
Mixer latent_attention(const Table& table, const LayerSizes& sizes) {
  const double heads = table.count("query_heads"), kv_rank = table.count("kv_rank");
  const double rope = table.count_or("rope_size", 0), nope = table.count("nope_size"),
               value = table.count("value_size");
  Mixer mixer;
  mixer.matrices = queries(table, heads * (nope + rope), sizes);
  add_beside_first(mixer, kv_rank + rope);
  mixer.matrices.push_back({kv_rank, heads * (nope + value)});
  mixer.matrices.push_back({heads * value, sizes.hidden});
  mixer.bytes_per_position = (kv_rank + rope) * sizes.kv_bits / bits_per_byte;
  mixer.macs_per_position = heads * (2 * kv_rank + rope);
  return mixer;
}

/// A small attention of its own that chooses the positions to attend to; its key of each position is cached. Source:
/// DeepSeek-V3.2, arXiv 2512.02556.
void add_index(const Table& table, const LayerSizes& sizes, Mixer& mixer) {
  const double heads = table.count("index_heads"), size = table.count("index_size");
  // Queries of either kind come from the same low rank where there is one.
  const double inputs = table.count_or("query_rank", sizes.hidden);
  Matrix& query = mixer.matrices.at(table.has("query_rank") ? 1 : 0);
  if (query.inputs == inputs) {
    query.outputs += heads * size;
  } else {
    mixer.matrices.push_back({inputs, heads * size});
  }
  add_beside_first(mixer, size + heads);
  mixer.chosen = table.count("index_positions");
  mixer.index_bytes_per_position = size * sizes.kv_bits / bits_per_byte;
  mixer.index_macs_per_position = heads * size;
  mixer.bytes_per_position += mixer.index_bytes_per_position;
}

Mixer attention(const Table& table, const LayerSizes& sizes) {
  Mixer mixer = table.has("kv_rank") ? latent_attention(table, sizes) : grouped_attention(table, sizes);
  if (table.has("gate_inputs")) {
    mixer.matrices.push_back({table.count("gate_inputs"), table.count("gate_width")});
  } else if (table.has("gate_width")) {
    add_beside_first(mixer, table.count("gate_width"));
  }
  if (table.has("index_heads")) add_index(table, sizes, mixer);
  mixer.window = table.count_or("window", 0);
  return mixer;
}

/// Keys, values and an output gate; decay and write strength a head (`gates_per_head`); decay a channel through a
/// matrix of its own (`decay_width`), or, with a `gate_rank`, it and the output gate through matrices of low rank.
/// Sources: Gated DeltaNet, arXiv 2412.06464; Kimi Linear, arXiv 2510.26692; lightning attention (no gates a head),
/// arXiv 2501.08313.
Mixer delta(const Table& table, const LayerSizes& sizes) {
  const double heads = table.count("value_heads");
  const double keys = table.count("key_heads") * table.count("key_size"), values = heads * table.count("value_size");
  Mixer mixer;
  mixer.matrices = {{sizes.hidden, 2 * keys + values}, {values, sizes.hidden}};
  if (table.has("gates_per_head")) add_beside_first(mixer, heads * table.count("gates_per_head"));
  if (table.has("gate_rank")) {
    const double rank = table.count("gate_rank");
    for (const double width : {keys, values}) {
      add_beside_first(mixer, rank);
      mixer.matrices.push_back({rank, width});
    }
  } else {
    add_beside_first(mixer, values);
    if (table.has("decay_width")) add_beside_first(mixer, table.count("decay_width"));
  }
  const double convolved = table.has("kernel") ? add_convolution(table, 2 * keys + values, mixer) : 0;
  add_state(table, values * table.count("key_size"), convolved, mixer);
  return mixer;
}

/// Source: Mamba, arXiv 2312.00752.
Mixer mamba(const Table& table, const LayerSizes& sizes) {
  const double inner = table.count("inner"), state = table.count("state"), rank = table.count("step_rank");
  Mixer mixer;
  mixer.matrices = {
      {sizes.hidden, 2 * inner}, {inner, rank + 2 * state}, {rank, inner}, {inner, state}, {inner, sizes.hidden}};
  add_state(table, inner * state, add_convolution(table, inner, mixer), mixer);
  return mixer;
}

/// Source: Mamba-2, arXiv 2405.21060.
Mixer mamba2(const Table& table, const LayerSizes& sizes) {
  const double inner = table.count("heads") * table.count("head_size"), state = table.count("state");
  const double convolved = inner + 2 * table.count("groups") * state;
  Mixer mixer;
  mixer.matrices = {{sizes.hidden, inner + convolved + table.count("heads")}, {inner, sizes.hidden}};
  add_state(table, inner * state, add_convolution(table, convolved, mixer), mixer);
  return mixer;
}

/// Two gates around a short convolution. Source: LFM2, arXiv 2511.23404.
Mixer convolution(const Table& table, const LayerSizes& sizes) {
  Mixer mixer;
  mixer.matrices = {{sizes.hidden, 3 * sizes.hidden}, {sizes.hidden, sizes.hidden}};
  add_state(table, 0, add_convolution(table, sizes.hidden, mixer), mixer);
  return mixer;
}

using MakeMixer = Mixer (*)(const Table&, const LayerSizes&);
constexpr std::array<std::pair<std::string_view, MakeMixer>, 5> mixers{
    {{"attention", attention}, {"delta", delta}, {"mamba", mamba}, {"mamba2", mamba2}, {"convolution", convolution}}};

}  // namespace

double Mixer::cached_bytes(double positions) const {
  return bytes_per_position * cached_positions(positions) + state_bytes;
}

double Mixer::read_bytes(double positions) const {
  if (chosen == 0 || chosen >= positions) return cached_bytes(positions);
  return index_bytes_per_position * positions + (bytes_per_position - index_bytes_per_position) * chosen + state_bytes;
}

double Mixer::macs(double positions) const {
  const double attended = chosen > 0 && chosen < positions ? chosen : cached_positions(positions);
  return macs_per_position * attended + index_macs_per_position * positions + state_macs;
}

double weights(const std::vector<Matrix>& matrices) {
  double total = 0;
  for (const Matrix& matrix : matrices) total += matrix.weights();
  return total;
}

Mixer read_mixer(PresetReader& reader, const std::string& name, const LayerSizes& sizes) {
  const std::string_view kind = std::string_view(name).substr(0, name.find('_'));
  for (const auto& [known, make] : mixers) {
    if (kind == known) return make(Table(reader, name), sizes);
  }
  fail(ErrorKind::usage, "layers: unknown kind '{}' (expected attention, delta, mamba, mamba2 or convolution)", name);
}

std::vector<Matrix> feed_forward(double outer, double inner, std::uint32_t matrices) {
  return {{outer, (matrices - 1) * inner}, {inner, outer}};
}

}  // namespace moecarlo::hw
