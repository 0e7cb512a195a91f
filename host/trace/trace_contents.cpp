#include "host/trace/trace_contents.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "host/support/hdf5_names.hpp"
#include "host/support/printable.hpp"
#include "host/trace/extras.hpp"
#include "host/trace/rules.hpp"

namespace moecarlo {
namespace {

void check_schema(const hdf5::Group& root) {
  const std::string schema = read_text(root, "schema");
  if (schema != "moecarlo-trace") {
    fail(ErrorKind::input, "{}: wrong schema (expected moecarlo-trace, found {:.40})", root.name_of("@schema"), schema);
  }
  const std::int64_t version = root.read_integer("schema_version");
  if (version != 1) {
    fail(ErrorKind::input, "{}: unknown version (expected 1, found {})", root.name_of("@schema_version"), version);
  }
}

void read_attributes(TraceContents& contents) {
  const hdf5::Group& root = contents.root;
  TraceInfo& info = contents.info;
  contents.scoring = read_scoring(root);
  info.model = read_text(root, "model");
  info.source = read_optional_text(root, "source");
  info.licence = read_optional_text(root, "licence");
  info.created_by = read_optional_text(root, "created_by");
  info.experts = contents.scoring.experts;
  info.top_k = contents.scoring.top_k;
  info.zero_experts = contents.scoring.zero_experts;
  if (root.has_attribute("num_shared_experts")) {
    info.shared_experts = read_number(root, "num_shared_experts", 0, largest_experts);
  }
}

// Fixes the number of tokens and layers, by which everything else is judged.
void open_routing(TraceContents& contents) {
  const hdf5::Group& root = contents.root;
  TraceInfo& info = contents.info;
  info.full_logits = root.has("router_logits");
  if (info.full_logits == root.has("expert_ids")) {
    fail(ErrorKind::input, "{}: {} (expected one of router_logits and expert_ids)", root.name_of(""),
         info.full_logits ? "both router_logits and expert_ids" : "neither router_logits nor expert_ids");
  }
  if (info.full_logits && info.zero_experts > 0) {
    fail(ErrorKind::input, "{}: {} zero-computation experts have no logits (expected expert_ids)",
         root.name_of("router_logits"), info.zero_experts);
  }
  hdf5::Dataset routing = info.full_logits ? open_floats(root, "router_logits") : open_integers(root, "expert_ids");
  const std::uint64_t width = info.full_logits ? info.experts : info.top_k;
  const auto& extents = routing.extents();
  if (extents.size() != 3 || extents[0] < 1 || extents[1] < 1 || extents[1] > largest_layers || extents[2] != width) {
    fail(ErrorKind::input, "{}: wrong extents (expected [1 or more tokens, 1 to {} layers, {}], found [{}])",
         routing.name(), largest_layers, width, fmt::join(extents, ", "));
  }
  info.tokens = extents[0];
  info.layers = static_cast<std::uint32_t>(extents[1]);
  (info.full_logits ? contents.logits : contents.expert_ids) = std::move(routing);
}

void open_weights(TraceContents& contents) {
  const hdf5::Group& root = contents.root;
  const TraceInfo& info = contents.info;
  if (!root.has("expert_weights")) return;
  if (info.full_logits) {
    fail(ErrorKind::input, "{}: not allowed beside router_logits (expected it with expert_ids only)",
         root.name_of("expert_weights"));
  }
  contents.expert_weights = open_floats(root, "expert_weights");
  hdf5::expect_extents(*contents.expert_weights, {info.tokens, info.layers, info.top_k}, "[tokens, layers, top_k]");
}

void read_sequence_offsets(TraceContents& contents) {
  const hdf5::Dataset dataset = open_integers(contents.root, "sequence_offsets");
  if (dataset.extents().size() != 1 || dataset.rows() < 2 || dataset.rows() - 1 > contents.info.tokens) {
    fail(ErrorKind::input, "{}: wrong extents (expected [2 to {} offsets], found [{}])", dataset.name(),
         contents.info.tokens + 1, fmt::join(dataset.extents(), ", "));
  }
  const auto offsets = dataset.read_integers<std::int64_t>(0, dataset.rows());
  check_offsets(dataset.name(), offsets, contents.info.tokens);
  contents.sequence_offsets.assign(offsets.begin(), offsets.end());
  contents.info.sequences = offsets.size() - 1;
}

void open_per_token(TraceContents& contents) {
  const TraceInfo& info = contents.info;
  if (contents.root.has("phase")) {
    const hdf5::Dataset dataset = open_integers(contents.root, "phase");
    hdf5::expect_extents(dataset, {info.tokens}, "[tokens]");
    contents.phase = dataset.read_integers<std::uint8_t>(0, info.tokens);
    check_range<std::uint8_t>(dataset, 0, contents.phase, 0, 1);
  }
  if (contents.root.has("token_ids")) {
    contents.token_ids = open_integers(contents.root, "token_ids");
    hdf5::expect_extents(*contents.token_ids, {info.tokens}, "[tokens]");
  }
}

void read_per_layer(TraceContents& contents) {
  const TraceInfo& info = contents.info;
  if (contents.root.has("layer_numbers")) {
    contents.layer_numbers = contents.root.read_integers<std::int32_t>("layer_numbers", {info.layers});
  }
  if (contents.root.has("selection_bias")) {
    const hdf5::Dataset dataset = open_floats(contents.root, "selection_bias");
    hdf5::expect_extents(dataset, {info.layers, info.experts}, "[layers, experts]");
    contents.selection_bias = dataset.read_floats(0, info.layers);
    check_range<float>(dataset, 0, contents.selection_bias, -largest_bias, largest_bias);
  }
}

constexpr std::array<std::string_view, 16> known_members{
    "acceptance",     "channel_magnitude", "context_offsets",  "context_token_ids",
    "expert_ids",     "expert_weights",    "layer_numbers",    "lookups",
    "phase",          "position",          "rounds",           "router_logits",
    "selection_bias", "sequence_label",    "sequence_offsets", "token_ids"};

constexpr std::array<std::string_view, 14> known_attributes{"created_by",     "licence",
                                                            "model",          "num_experts",
                                                            "num_groups",     "num_shared_experts",
                                                            "renormalize",    "schema",
                                                            "schema_version", "scoring",
                                                            "source",         "top_k",
                                                            "top_k_groups",   "zero_computation_experts"};

}  // namespace

TraceContents open_trace(const std::filesystem::path& path) {
  TraceContents contents{hdf5::open_file(path), {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
  contents.info.path = path.string();
  check_schema(contents.root);
  hdf5::attributes_not_read(contents.root, known_attributes);  // others say where it comes from
  read_attributes(contents);
  open_routing(contents);
  open_weights(contents);
  read_sequence_offsets(contents);
  open_per_token(contents);
  read_per_layer(contents);
  contents.extras = open_extras(contents.root, contents.info);
  auto& not_read = contents.extras.not_read;
  for (const std::string& name : hdf5::members_not_read(contents.root, known_members)) not_read.push_back(name);
  contents.extras.token_ids = contents.token_ids.has_value();
  contents.extras.expert_weights = contents.expert_weights.has_value();
  contents.extras.selection_bias = !contents.selection_bias.empty();
  return contents;
}

}  // namespace moecarlo
