#include <hdf5.h>

#include <numeric>

#include "host/trace/trace_writer.hpp"
#include "tests/shared/random_study.hpp"

namespace moecarlo::testing {
namespace {

using oracle::Trace;
using Extents = std::vector<hsize_t>;

void put(hid_t group, const char* name, hid_t type, const Extents& extents, hid_t memory_type, const void* values) {
  const hid_t space = H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr);
  const hid_t dataset = H5Dcreate2(group, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  H5Dwrite(dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
  H5Dclose(dataset);
  H5Sclose(space);
}

void put(hid_t group, const char* name, hid_t type, const Extents& extents, const std::vector<double>& values) {
  put(group, name, type, extents, H5T_NATIVE_DOUBLE, values.data());
}

void put(hid_t group, const char* name, hid_t type, const Extents& extents, const std::vector<int>& values) {
  put(group, name, type, extents, H5T_NATIVE_INT, values.data());
}

void write_distances(hid_t file, const Trace& trace) {
  const auto layers = static_cast<hsize_t>(trace.layers), experts = static_cast<hsize_t>(trace.experts);
  std::vector<double> values;
  for (const auto& layer : trace.apart) {
    for (const std::vector<double>& row : layer) values.insert(values.end(), row.begin(), row.end());
  }
  put(file, "distances", H5T_IEEE_F32LE, {layers, experts, experts}, values);
}

void write_magnitudes(hid_t file, const Trace& trace) {
  const auto tokens = static_cast<hsize_t>(trace.tokens()), layers = static_cast<hsize_t>(trace.layers);
  std::vector<int> values;
  for (const auto& token : trace.magnitude) {
    for (const std::vector<int>& layer : token) values.insert(values.end(), layer.begin(), layer.end());
  }
  put(file, "channel_magnitude", H5T_STD_U8LE, {tokens, layers, values.size() / tokens / layers}, values);
  const hid_t dataset = H5Dopen2(file, "channel_magnitude", H5P_DEFAULT);
  const hid_t space = H5Screate_simple(1, &layers, nullptr);
  const hid_t scale = H5Acreate2(dataset, "scale", H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT);
  H5Awrite(scale, H5T_NATIVE_DOUBLE, trace.scale.data());
  H5Aclose(scale);
  H5Sclose(space);
  H5Dclose(dataset);
}

void write_captured(hid_t file, const Trace& trace) {
  const hsize_t count = trace.captured.size();
  std::vector<double> fraction, probability;
  std::vector<int> bits;
  for (const Trace::Configuration& one : trace.captured) {
    fraction.push_back(one.cache_fraction);
    bits.push_back(one.bits);
    probability.insert(probability.end(), one.probability.begin(), one.probability.end());
  }
  const hid_t group = H5Gcreate2(file, "acceptance", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  put(group, "cache_fraction", H5T_IEEE_F32LE, {count}, fraction);
  put(group, "weight_bits", H5T_STD_U8LE, {count}, bits);
  if (!trace.drafted.empty()) {
    put(group, "draft_probability", H5T_IEEE_F32LE, {static_cast<hsize_t>(trace.tokens())}, trace.drafted);
  }
  put(group, "accept_probability", H5T_IEEE_F32LE, {count, static_cast<hsize_t>(trace.tokens())}, probability);
  H5Gclose(group);
}

void write_recorded(hid_t file, const Trace& trace) {
  const hsize_t count = trace.recorded.size();
  std::vector<int> position, drafted, accepted, chosen;
  std::size_t columns = 0;
  for (const Trace::Round& round : trace.recorded) columns = std::max(columns, round.chosen.size());
  for (const Trace::Round& round : trace.recorded) {
    position.push_back(round.token);
    drafted.push_back(round.drafted);
    accepted.push_back(round.accepted);
    for (const auto& column : round.chosen) {
      for (const auto& layer : column) chosen.insert(chosen.end(), layer.begin(), layer.end());
    }
    const std::size_t unused = columns - round.chosen.size();
    chosen.insert(chosen.end(), unused * static_cast<std::size_t>(trace.layers * trace.top_k), -1);
  }
  const hid_t group = H5Gcreate2(file, "rounds", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  put(group, "position", H5T_STD_I64LE, {count}, position);
  put(group, "drafted", H5T_STD_I32LE, {count}, drafted);
  put(group, "accepted", H5T_STD_I32LE, {count}, accepted);
  put(group, "verify_expert_ids", H5T_STD_I16LE,
      {count, columns, static_cast<hsize_t>(trace.layers), static_cast<hsize_t>(trace.top_k)}, chosen);
  H5Gclose(group);
}

/// The numbers of one token's layers side by side.
template <class To, class From>
std::vector<To> flat(const std::vector<std::vector<From>>& layers) {
  std::vector<To> values;
  for (const std::vector<From>& layer : layers) {
    for (const From value : layer) values.push_back(static_cast<To>(value));
  }
  return values;
}

}  // namespace

void write_trace(const Trace& trace, const std::filesystem::path& path) {
  TraceHeader header;
  header.model = "random";
  header.form = trace.logit.empty() ? TraceForm::expert_ids : TraceForm::logits_float32;
  header.layers = static_cast<std::uint32_t>(trace.layers);
  header.scoring.scoring = trace.sigmoid ? Scoring::sigmoid : Scoring::softmax;
  header.scoring.experts = static_cast<std::uint32_t>(trace.experts);
  header.scoring.top_k = static_cast<std::uint32_t>(trace.top_k);
  header.weights = trace.logit.empty() && !trace.weight.empty();
  header.token_ids = true;
  TraceWriter writer(path, header);
  for (int sequence = 0; sequence < static_cast<int>(trace.lengths.size()); ++sequence) {
    const int first = trace.first(sequence);
    for (int token = first; token < first + trace.lengths[sequence]; ++token) {
      const auto logits = trace.logit.empty() ? std::vector<float>{} : flat<float>(trace.logit[token]);
      const auto ids = trace.logit.empty() ? flat<std::uint16_t>(trace.chosen[token]) : std::vector<std::uint16_t>{};
      const auto weights = header.weights ? flat<float>(trace.weight[token]) : std::vector<float>{};
      const std::int32_t word = trace.word[token];
      writer.append({logits, ids, weights, {}, {&word, 1}});
    }
    writer.end_sequence();
  }
  writer.finish();
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  write_captured(file, trace);
  write_recorded(file, trace);
  if (!trace.magnitude.empty()) write_magnitudes(file, trace);
  if (!trace.apart.empty()) write_distances(file, trace);
  H5Fclose(file);
}

}  // namespace moecarlo::testing
