#include "host/trace/rules.hpp"

#include "host/support/error.hpp"

namespace moecarlo {
namespace {

constexpr std::size_t longest_text = std::size_t{1} << 16;

Scoring parse_scoring(const hdf5::Group& root) {
  if (!root.has_attribute("scoring")) return Scoring::softmax;
  const std::string text = read_text(root, "scoring");
  for (const Scoring scoring : {Scoring::softmax, Scoring::sigmoid, Scoring::topk_softmax}) {
    if (text == to_string(scoring)) return scoring;
  }
  fail(ErrorKind::input, "{}: unknown scoring (expected softmax, sigmoid or topk_softmax, found {:.40})",
       root.name_of("@scoring"), text);
}

void read_groups(const hdf5::Group& root, ScoringRule& rule) {
  const bool num_groups = root.has_attribute("num_groups");
  const bool top_k_groups = root.has_attribute("top_k_groups");
  if (num_groups != top_k_groups) {
    fail(ErrorKind::input, "{}: missing (num_groups and top_k_groups come together)",
         root.name_of(num_groups ? "@top_k_groups" : "@num_groups"));
  }
  if (!num_groups) return;
  rule.num_groups = read_number(root, "num_groups", 1, rule.experts);
  if (rule.experts % rule.num_groups != 0) {
    fail(ErrorKind::input, "{}: groups of unequal size (expected a divisor of {} experts, found {})",
         root.name_of("@num_groups"), rule.experts, rule.num_groups);
  }
  rule.top_k_groups = read_number(root, "top_k_groups", 1, rule.num_groups);
  const std::uint32_t open = rule.experts / rule.num_groups * rule.top_k_groups;
  if (open < rule.top_k) {
    fail(ErrorKind::input, "{}: the groups kept hold too few experts (expected at least top_k = {}, found {})",
         root.name_of("@top_k_groups"), rule.top_k, open);
  }
}

}  // namespace

hdf5::Dataset open_integers(const hdf5::Group& group, const std::string& member) {
  hdf5::Dataset dataset = group.open_dataset(member);
  if (!hdf5::is_integer(dataset.element())) {
    fail(ErrorKind::input, "{}: wrong type (expected integers, found {})", dataset.name(),
         hdf5::to_string(dataset.element()));
  }
  return dataset;
}

hdf5::Dataset open_floats(const hdf5::Group& group, const std::string& member) {
  hdf5::Dataset dataset = group.open_dataset(member);
  if (dataset.element() != hdf5::Element::float16 && dataset.element() != hdf5::Element::float32) {
    fail(ErrorKind::input, "{}: wrong type (expected float16 or float32, found {})", dataset.name(),
         hdf5::to_string(dataset.element()));
  }
  return dataset;
}

std::string read_text(const hdf5::Group& group, const std::string& attribute) {
  return printable(group.read_string(attribute), longest_text);
}

std::string read_optional_text(const hdf5::Group& group, const std::string& attribute) {
  return group.has_attribute(attribute) ? read_text(group, attribute) : std::string();
}

std::uint32_t read_number(const hdf5::Group& root, const std::string& attribute, std::int64_t lowest,
                          std::int64_t highest) {
  const std::int64_t value = root.read_integer(attribute);
  if (value < lowest || value > highest) {
    fail(ErrorKind::input, "{}: out of range (expected {} to {}, found {})", root.name_of("@" + attribute), lowest,
         highest, value);
  }
  return static_cast<std::uint32_t>(value);
}

ScoringRule read_scoring(const hdf5::Group& root) {
  ScoringRule rule;
  rule.experts = read_number(root, "num_experts", 1, largest_experts);
  rule.top_k = read_number(root, "top_k", 1, rule.experts);
  rule.scoring = parse_scoring(root);
  rule.renormalize = root.has_attribute("renormalize") && read_number(root, "renormalize", 0, 1) == 1;
  read_groups(root, rule);
  if (root.has_attribute("zero_computation_experts")) {
    rule.zero_experts = read_number(root, "zero_computation_experts", 0, largest_experts);
  }
  return rule;
}

void check_offsets(const std::string& name, std::span<const std::int64_t> offsets, std::uint64_t end) {
  if (offsets.size() < 2) {
    fail(ErrorKind::input, "{}: too short (expected at least 2 offsets, found {})", name, offsets.size());
  }
  if (offsets.front() != 0) {
    fail(ErrorKind::input, "{}: first offset is not 0 (found {})", name, offsets.front());
  }
  for (std::size_t i = 1; i < offsets.size(); ++i) {
    if (offsets[i] > offsets[i - 1]) continue;
    fail(ErrorKind::input, "{}: offsets do not ascend (expected more than {} at [{}], found {})", name, offsets[i - 1],
         i, offsets[i]);
  }
  if (static_cast<std::uint64_t>(offsets.back()) != end) {
    fail(ErrorKind::input, "{}: last offset is wrong (expected {}, found {})", name, end, offsets.back());
  }
}

}  // namespace moecarlo
