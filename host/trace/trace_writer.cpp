#include "host/trace/trace_writer.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "host/support/float16.hpp"
#include "host/support/hdf5.hpp"
#include "host/trace/limits.hpp"

namespace moecarlo {

struct TraceWriter::Output {
  Output(const std::filesystem::path& path, const TraceHeader& given);

  hdf5::OutputFile file;
  TraceHeader header;
  std::string name;
  std::optional<hdf5::Appender> routing, weights, phase, token_ids;
  std::vector<std::int64_t> offsets{0};
  std::int64_t tokens = 0;
};

namespace {

constexpr std::uint64_t chunk_bytes = std::uint64_t{1} << 20;

std::uint64_t rows_per_chunk(std::uint64_t row_bytes) {
  return std::max<std::uint64_t>(1, chunk_bytes / row_bytes);
}

hdf5::Element routing_element(const TraceHeader& header) {
  switch (header.form) {
    case TraceForm::logits_float16:
      return hdf5::Element::float16;
    case TraceForm::logits_float32:
      return hdf5::Element::float32;
    default:
      return hdf5::Element::uint16;
  }
}

void write_attributes(hdf5::OutputGroup& root, const TraceHeader& header) {
  root.write_string("schema", "moecarlo-trace");
  root.write_integer("schema_version", 1);
  root.write_string("model", header.model);
  for (const auto& [attribute, text] : {std::pair{"source", &header.source}, std::pair{"licence", &header.licence},
                                        std::pair{"created_by", &header.created_by}}) {
    if (!text->empty()) root.write_string(attribute, *text);
  }
  const ScoringRule& rule = header.scoring;
  root.write_integer("num_experts", rule.experts);
  root.write_integer("top_k", rule.top_k);
  root.write_integer("num_shared_experts", header.shared_experts);
  root.write_string("scoring", to_string(rule.scoring));
  root.write_boolean("renormalize", rule.renormalize);
  if (rule.num_groups != 1) {
    root.write_integer("num_groups", rule.num_groups);
    root.write_integer("top_k_groups", rule.top_k_groups);
  }
}

void expect_size(const std::string& name, const char* part, std::size_t expected, std::size_t found) {
  if (expected == found) return;
  fail(ErrorKind::usage, "{}: {}: wrong number of values (expected {}, found {})", name, part, expected, found);
}

std::vector<std::uint16_t> to_float16(const std::string& name, const char* part, std::span<const float> values) {
  std::vector<std::uint16_t> half(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    half[i] = float_to_float16(values[i]);
    if (!float16_is_finite(half[i])) {
      fail(ErrorKind::usage, "{}: {}: no float16 for a value (expected at most 65504, found {})", name, part,
           values[i]);
    }
  }
  return half;
}

void append_routing(TraceForm form, const std::string& name, const TraceTokens& tokens, std::uint64_t count,
                    hdf5::Appender& out) {
  if (form == TraceForm::expert_ids) {
    out.append(count, tokens.expert_ids.data());
  } else if (form == TraceForm::logits_float32) {
    out.append(count, tokens.logits.data());
  } else {
    out.append(count, to_float16(name, "logits", tokens.logits).data());
  }
}

}  // namespace

TraceWriter::Output::Output(const std::filesystem::path& path, const TraceHeader& given)
    : file(path), header(given), name(path.string()) {
  const ScoringRule& rule = header.scoring;
  hdf5::OutputGroup& root = file.root();
  write_attributes(root, header);

  const bool ids = header.form == TraceForm::expert_ids;
  const std::uint64_t width = ids ? rule.top_k : rule.experts;
  const hdf5::Element element = routing_element(header);
  // Logits are close to noise: deflate would save an eighth and cost nine tenths of the reading speed.
  routing.emplace(root, ids ? "expert_ids" : "router_logits", element, std::vector<std::uint64_t>{header.layers, width},
                  rows_per_chunk(header.layers * width * hdf5::size_in_bytes(element)), ids);
  if (header.weights) {
    weights.emplace(root, "expert_weights", hdf5::Element::float16,
                    std::vector<std::uint64_t>{header.layers, rule.top_k},
                    rows_per_chunk(std::uint64_t{2} * header.layers * rule.top_k), true);
  }
  if (header.phase) {
    phase.emplace(root, "phase", hdf5::Element::uint8, std::vector<std::uint64_t>{}, rows_per_chunk(16), true);
  }
  if (header.token_ids) {
    token_ids.emplace(root, "token_ids", hdf5::Element::int32, std::vector<std::uint64_t>{}, rows_per_chunk(16), true);
  }
  if (!header.layer_numbers.empty()) {
    expect_size(name, "layer_numbers", header.layers, header.layer_numbers.size());
    root.write<std::int32_t>("layer_numbers", {header.layers}, header.layer_numbers);
  }
  if (!header.selection_bias.empty()) {
    expect_size(name, "selection_bias", std::size_t{header.layers} * rule.experts, header.selection_bias.size());
    root.write<float>("selection_bias", {header.layers, rule.experts}, header.selection_bias);
  }
}

TraceWriter::TraceWriter(const std::filesystem::path& path, const TraceHeader& header) {
  const ScoringRule& rule = header.scoring;
  const bool ids = header.form == TraceForm::expert_ids;
  if (header.layers < 1 || header.layers > largest_layers || rule.experts > largest_experts || rule.top_k < 1 ||
      rule.top_k > rule.experts) {
    fail(ErrorKind::usage, "{}: impossible shape ({} layers, top {} of {} experts)", path.string(), header.layers,
         rule.top_k, rule.experts);
  }
  if (header.weights && !ids) fail(ErrorKind::usage, "{}: logits hold the weights already", path.string());
  output_ = std::make_unique<Output>(path, header);
}

TraceWriter::~TraceWriter() = default;

void TraceWriter::append(const TraceTokens& tokens) {
  Output& out = *output_;
  const bool ids = out.header.form == TraceForm::expert_ids;
  const ScoringRule& rule = out.header.scoring;
  const std::size_t row = std::size_t{out.header.layers} * (ids ? rule.top_k : rule.experts);
  const std::size_t given = ids ? tokens.expert_ids.size() : tokens.logits.size();
  const std::size_t count = given / row;
  expect_size(out.name, ids ? "expert_ids" : "logits", std::max<std::size_t>(1, count) * row, given);
  const std::size_t chosen = count * out.header.layers * rule.top_k;
  expect_size(out.name, "weights", out.header.weights ? chosen : 0, tokens.weights.size());
  expect_size(out.name, "phase", out.header.phase ? count : 0, tokens.phase.size());
  expect_size(out.name, "token_ids", out.header.token_ids ? count : 0, tokens.token_ids.size());

  append_routing(out.header.form, out.name, tokens, count, *out.routing);
  if (out.weights) out.weights->append(count, to_float16(out.name, "weights", tokens.weights).data());
  if (out.phase) out.phase->append(count, tokens.phase.data());
  if (out.token_ids) out.token_ids->append(count, tokens.token_ids.data());
  out.tokens += static_cast<std::int64_t>(count);
}

void TraceWriter::end_sequence() {
  if (output_->tokens == output_->offsets.back()) fail(ErrorKind::usage, "{}: empty sequence", output_->name);
  output_->offsets.push_back(output_->tokens);
}

void TraceWriter::finish() {
  Output& out = *output_;
  if (out.offsets.size() < 2) fail(ErrorKind::usage, "{}: a trace needs a sequence", out.name);
  if (out.offsets.back() != out.tokens) fail(ErrorKind::usage, "{}: the last sequence is still open", out.name);
  out.file.root().write<std::int64_t>("sequence_offsets", {out.offsets.size()}, out.offsets);
  for (auto* part : {&out.routing, &out.weights, &out.phase, &out.token_ids}) part->reset();
  out.file.commit();
}

}  // namespace moecarlo
