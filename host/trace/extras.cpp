#include "host/trace/extras.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <span>

#include "cuda/core/demand/demand.hpp"
#include "host/support/hdf5_names.hpp"
#include "host/support/printable.hpp"
#include "host/trace/rules.hpp"

namespace moecarlo {
namespace {

constexpr std::uint64_t elements_per_read = std::uint64_t{1} << 22;

void expect_integers(const hdf5::Group& group, const std::string& member, const std::vector<std::uint64_t>& extents,
                     const char* shape) {
  hdf5::expect_extents(open_integers(group, member), extents, shape);
}

void expect_floats(const hdf5::Group& group, const std::string& member, const std::vector<std::uint64_t>& extents,
                   const char* shape) {
  hdf5::expect_extents(open_floats(group, member), extents, shape);
}

std::uint64_t length_of(const hdf5::Group& group, const std::string& member) {
  const hdf5::Dataset dataset = group.open_dataset(member);
  if (dataset.extents().size() != 1 || dataset.rows() == 0) {
    fail(ErrorKind::input, "{}: wrong extents (expected one, at least 1, found [{}])", dataset.name(),
         fmt::join(dataset.extents(), ", "));
  }
  return dataset.rows();
}

void for_each_piece(const hdf5::Dataset& dataset,
                    const std::function<void(std::uint64_t first, std::uint64_t count)>& read) {
  const std::uint64_t chunk = dataset.rows_per_chunk();
  const std::uint64_t fitting = elements_per_read / std::max<std::uint64_t>(1, dataset.row_elements());
  const std::uint64_t step = std::max<std::uint64_t>(1, fitting > chunk ? fitting / chunk * chunk : fitting);
  for (std::uint64_t first = 0; first < dataset.rows(); first += step) {
    read(first, std::min(step, dataset.rows() - first));
  }
}

void check_integers(const hdf5::Group& group, const std::string& member, std::int64_t lowest, std::int64_t highest) {
  const hdf5::Dataset dataset = group.open_dataset(member);
  for_each_piece(dataset, [&](std::uint64_t first, std::uint64_t count) {
    const auto values = dataset.read_integers<std::int64_t>(first, count);
    check_range<std::int64_t>(dataset, first, values, lowest, highest);
  });
}

void check_shares(const hdf5::Group& group, const std::string& member) {
  const hdf5::Dataset dataset = group.open_dataset(member);
  for_each_piece(dataset, [&](std::uint64_t first, std::uint64_t count) {
    const auto values = dataset.read_floats(first, count);
    check_range<float>(dataset, first, values, 0.0F, 1.0F);
  });
}

/// Adds what a group of the trace holds beside these members and attributes to what is not read.
void note_others(const hdf5::Group& group, const std::string& name, hdf5::Names members, hdf5::Names attributes,
                 TraceExtras& extras) {
  for (const auto& others : {hdf5::members_not_read(group, members), hdf5::attributes_not_read(group, attributes)}) {
    for (const std::string& other : others) extras.not_read.push_back(fmt::format("{}/{}", name, other));
  }
}

void open_acceptance(const hdf5::Group& root, const TraceInfo& info, TraceExtras& extras) {
  const hdf5::Group group = root.open_group("acceptance");
  constexpr std::array<std::string_view, 4> members{"accept_probability", "cache_fraction", "draft_probability",
                                                    "weight_bits"};
  constexpr std::array<std::string_view, 1> attributes{"drafter"};
  note_others(group, "acceptance", members, attributes, extras);
  extras.draft_probability = group.has("draft_probability");
  if (extras.draft_probability) expect_floats(group, "draft_probability", {info.tokens}, "[tokens]");
  extras.drafter = read_optional_text(group, "drafter");
  if (extras.draft_probability && !group.has("accept_probability")) return;
  const std::uint64_t configurations = length_of(group, "cache_fraction");
  expect_floats(group, "cache_fraction", {configurations}, "[configurations]");
  expect_integers(group, "weight_bits", {configurations}, "[configurations]");
  expect_floats(group, "accept_probability", {configurations, info.tokens}, "[configurations, tokens]");
  extras.acceptance_configurations = configurations;
}

void open_channels(const hdf5::Group& root, const TraceInfo& info, TraceExtras& extras) {
  const hdf5::Dataset dataset = root.open_dataset("channel_magnitude");
  if (dataset.element() != hdf5::Element::uint8) {
    fail(ErrorKind::input, "{}: wrong type (expected uint8, found {})", dataset.name(),
         hdf5::to_string(dataset.element()));
  }
  const auto& extents = dataset.extents();
  if (extents.size() != 3 || extents[0] != info.tokens || extents[1] != info.layers || extents[2] < 1 ||
      extents[2] > kMostChannels) {
    fail(ErrorKind::input, "{}: wrong extents (expected [{} tokens, {} layers, 1 to {} channels], found [{}])",
         dataset.name(), info.tokens, info.layers, kMostChannels, fmt::join(extents, ", "));
  }
  extras.channels = static_cast<std::uint32_t>(extents[2]);
  extras.channel_scale = root.read_floats("channel_magnitude", "scale");
  if (extras.channel_scale.size() != info.layers) {
    fail(ErrorKind::input, "{}@scale: wrong number of values (expected one for each of {} layers, found {})",
         dataset.name(), info.layers, extras.channel_scale.size());
  }
  for (const float scale : extras.channel_scale) {
    if (scale > 0 && std::isfinite(scale)) continue;
    fail(ErrorKind::input, "{}@scale: value out of range (expected a number above 0, found {})", dataset.name(), scale);
  }
}

void open_rounds(const hdf5::Group& root, const TraceInfo& info, TraceExtras& extras) {
  const hdf5::Group group = root.open_group("rounds");
  constexpr std::array<std::string_view, 4> members{"accepted", "drafted", "position", "verify_expert_ids"};
  note_others(group, "rounds", members, {}, extras);
  const std::uint64_t rounds = length_of(group, "position");
  expect_integers(group, "position", {rounds}, "[rounds]");
  expect_integers(group, "drafted", {rounds}, "[rounds]");
  expect_integers(group, "accepted", {rounds}, "[rounds]");
  const hdf5::Dataset verify = group.open_dataset("verify_expert_ids");
  const std::uint64_t columns = verify.extents().size() == 4 ? verify.extents()[1] : 0;
  if (columns < 1 || columns > 256) {
    fail(ErrorKind::input, "{}: wrong extents (expected [rounds, 1 to 256 columns, layers, top_k], found [{}])",
         verify.name(), fmt::join(verify.extents(), ", "));
  }
  expect_integers(group, "verify_expert_ids", {rounds, columns, info.layers, info.top_k},
                  "[rounds, columns, layers, top_k]");
  extras.rounds = rounds;
  extras.round_columns = static_cast<std::uint32_t>(columns);
}

void open_lookups(const hdf5::Group& root, TraceExtras& extras) {
  const hdf5::Group group = root.open_group("lookups");
  constexpr std::array<std::string_view, 5> members{"expert", "hit", "layer", "part", "sweep_offsets"};
  note_others(group, "lookups", members, {}, extras);
  extras.lookups = length_of(group, "layer");
  for (const char* member : {"layer", "expert", "part", "hit"}) {
    expect_integers(group, member, {extras.lookups}, "[lookups]");
  }
  if (group.has("sweep_offsets")) {
    expect_integers(group, "sweep_offsets", {length_of(group, "sweep_offsets")}, "[sweeps + 1]");
  }
}

/// Sequences by label. A label is a short name on one line: what cannot be shown so is made printable.
std::map<std::string, std::uint64_t> read_labels(const hdf5::Group& root, const TraceInfo& info) {
  constexpr std::size_t longest_label = 256;  // bytes
  const std::vector<std::string> labels = root.read_strings("sequence_label");
  const std::string name = root.name_of("sequence_label");
  if (labels.size() != info.sequences) {
    fail(ErrorKind::input, "{}: wrong extents (expected one label for each of {} sequences, found {})", name,
         info.sequences, labels.size());
  }
  std::map<std::string, std::uint64_t> counts;
  for (std::size_t s = 0; s < labels.size(); ++s) {
    if (labels[s].size() > longest_label) {
      fail(ErrorKind::input, "{}: label too long at [{}] (expected at most {} bytes, found {})", name, s, longest_label,
           labels[s].size());
    }
    ++counts[printable(labels[s], longest_label)];
  }
  return counts;
}

// Unused columns, those after the drafted ones, hold -1 throughout; the others hold valid choices.
void check_round(const hdf5::Dataset& verify, std::uint64_t round, std::int64_t drafted, const ScoringRule& rule,
                 std::span<const std::int64_t> ids, std::span<std::uint16_t> scratch) {
  const std::size_t used = ids.size() / verify.extents()[1] * static_cast<std::size_t>(drafted + 1);
  copy_expert_ids<std::int64_t>(verify, round, 0, ids.first(used), rule, scratch);
  for (std::size_t i = used; i < ids.size(); ++i) {
    if (ids[i] == -1) continue;
    fail(ErrorKind::input, "{}: unused column is not empty at {} (expected -1, found {})", verify.name(),
         verify.position(round, i), ids[i]);
  }
}

struct LookupRange {
  const char* member;
  std::int64_t highest;
};

std::array<LookupRange, 4> lookup_ranges(const TraceInfo& info) {
  // `layers` itself stands for the drafter's own layer
  return {{{"layer", info.layers}, {"expert", std::int64_t{info.experts} - 1}, {"part", 255}, {"hit", 1}}};
}

void check_lookups(const hdf5::Group& root, const TraceInfo& info, const TraceExtras& extras) {
  const hdf5::Group group = root.open_group("lookups");
  for (const LookupRange& range : lookup_ranges(info)) check_integers(group, range.member, 0, range.highest);
  if (group.has("sweep_offsets")) {
    check_offsets(group.name_of("sweep_offsets"), group.read_integers<std::int64_t>("sweep_offsets"), extras.lookups);
  }
}

}  // namespace

TraceExtras open_extras(const hdf5::Group& root, const TraceInfo& info) {
  TraceExtras extras;
  if (root.has("acceptance")) open_acceptance(root, info, extras);
  if (root.has("channel_magnitude")) open_channels(root, info, extras);
  if (root.has("rounds")) open_rounds(root, info, extras);
  if (root.has("lookups")) open_lookups(root, extras);
  if (root.has("sequence_label")) extras.labels = read_labels(root, info);
  extras.contexts = root.has("context_token_ids") || root.has("context_offsets");
  if (extras.contexts) {
    expect_integers(root, "context_token_ids", {length_of(root, "context_token_ids")}, "[context tokens]");
    expect_integers(root, "context_offsets", {info.sequences + 1}, "[sequences + 1]");
  }
  if (root.has("position")) expect_integers(root, "position", {info.tokens}, "[tokens]");
  return extras;
}

void check_acceptance(const hdf5::Group& root, const TraceExtras& extras) {
  const hdf5::Group group = root.open_group("acceptance");
  if (extras.draft_probability) check_shares(group, "draft_probability");
  if (extras.acceptance_configurations == 0) return;
  check_shares(group, "cache_fraction");
  check_integers(group, "weight_bits", 1, 32);
  check_shares(group, "accept_probability");
}

void check_rounds(const hdf5::Group& root, const TraceInfo& info, const TraceExtras& extras, const ScoringRule& rule) {
  const hdf5::Group group = root.open_group("rounds");
  check_integers(group, "position", 0, static_cast<std::int64_t>(info.tokens) - 1);
  check_integers(group, "drafted", 0, extras.round_columns - 1);
  const hdf5::Dataset drafted_lengths = group.open_dataset("drafted");
  const hdf5::Dataset accepted_lengths = group.open_dataset("accepted");
  const hdf5::Dataset verify = group.open_dataset("verify_expert_ids");
  std::vector<std::uint16_t> scratch(verify.row_elements());
  for_each_piece(verify, [&](std::uint64_t first, std::uint64_t count) {
    const auto drafted = drafted_lengths.read_integers<std::int64_t>(first, count);
    const auto accepted = accepted_lengths.read_integers<std::int64_t>(first, count);
    const auto ids = verify.read_integers<std::int64_t>(first, count);
    for (std::uint64_t i = 0; i < count; ++i) {
      if (accepted[i] < 0 || accepted[i] > drafted[i]) {
        fail(ErrorKind::input, "{}: value out of range at [{}] (expected 0 to the {} drafted, found {})",
             accepted_lengths.name(), first + i, drafted[i], accepted[i]);
      }
      check_round(verify, first + i, drafted[i], rule,
                  std::span(ids).subspan(i * verify.row_elements(), verify.row_elements()), scratch);
    }
  });
}

// A token stands inside its sequence's context.
void check_contexts(const hdf5::Group& root, std::span<const std::uint64_t> sequence_offsets) {
  check_integers(root, "context_token_ids", INT32_MIN, INT32_MAX);
  const auto offsets = root.read_integers<std::int64_t>("context_offsets");
  check_offsets(root.name_of("context_offsets"), offsets, length_of(root, "context_token_ids"));
  if (!root.has("position")) return;
  const hdf5::Dataset position = root.open_dataset("position");
  // Sequences may be short and many: read are pieces, not sequences.
  std::uint64_t s = 0;
  for_each_piece(position, [&](std::uint64_t first, std::uint64_t count) {
    const auto values = position.read_integers<std::int64_t>(first, count);
    for (std::uint64_t token = first; token < first + count;) {
      while (sequence_offsets[s + 1] <= token) ++s;
      const std::uint64_t end = std::min(sequence_offsets[s + 1], first + count);
      check_range<std::int64_t>(position, token, std::span(values).subspan(token - first, end - token), 0,
                                offsets[s + 1] - offsets[s] - 1);
      token = end;
    }
  });
}

void check_extras(const hdf5::Group& root, const TraceInfo& info, const TraceExtras& extras, const ScoringRule& rule,
                  std::span<const std::uint64_t> sequence_offsets) {
  if (extras.acceptance_configurations != 0 || extras.draft_probability) check_acceptance(root, extras);
  if (extras.channels != 0) check_integers(root, "channel_magnitude", 0, 255);
  if (extras.rounds != 0) check_rounds(root, info, extras, rule);
  if (extras.lookups != 0) check_lookups(root, info, extras);
  if (extras.contexts) check_contexts(root, sequence_offsets);
}

Lookups read_lookups(const hdf5::Group& root, const TraceInfo& info) {
  const hdf5::Group group = root.open_group("lookups");
  for (const LookupRange& range : lookup_ranges(info)) check_integers(group, range.member, 0, range.highest);
  return {group.read_integers<std::uint32_t>("layer"), group.read_integers<std::uint32_t>("expert"),
          group.read_integers<std::uint32_t>("part"), group.read_integers<std::uint8_t>("hit")};
}

}  // namespace moecarlo
