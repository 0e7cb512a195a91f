#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "host/support/hdf5.hpp"
#include "host/trace/choices.hpp"
#include "host/trace/limits.hpp"
#include "host/trace/scoring.hpp"

namespace moecarlo {

// The rules of the trace format that stand on their own. Each function throws an `Error` of kind input naming the
// object where its rule is broken.

constexpr float largest_bias = 1e30F;  ///< far beyond any model's, and no sum with a finite logit overflows

/// Opens a dataset of integers of any width.
hdf5::Dataset open_integers(const hdf5::Group& group, const std::string& member);
/// Opens a dataset of float16 or float32.
hdf5::Dataset open_floats(const hdf5::Group& group, const std::string& member);

/// A string attribute as it may be shown on one line of a terminal: control characters become spaces.
std::string read_text(const hdf5::Group& group, const std::string& attribute);
/// The same, empty where the attribute is absent.
std::string read_optional_text(const hdf5::Group& group, const std::string& attribute);

/// An integer root attribute in lowest .. highest.
std::uint32_t read_number(const hdf5::Group& root, const std::string& attribute, std::int64_t lowest,
                          std::int64_t highest);

/// The attributes `num_experts`, `top_k`, `scoring` (default softmax), `renormalize` (default false), `num_groups` and
/// `top_k_groups` (both or neither, default 1), `zero_computation_experts` (default 0): 1 <= top_k <= num_experts <=
/// 1024, groups of equal size, and the groups kept hold at least top_k experts.
ScoringRule read_scoring(const hdf5::Group& root);

/// Offsets run from 0 to `end` and ascend strictly.
void check_offsets(const std::string& name, std::span<const std::int64_t> offsets, std::uint64_t end);

/// All values lie in lowest .. highest.
template <class T>
void check_range(const hdf5::Dataset& dataset, std::uint64_t first, std::span<const T> values, T lowest, T highest) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] >= lowest && values[i] <= highest) continue;
    fail(ErrorKind::input, "{}: value out of range at {} (expected {} to {}, found {})", dataset.name(),
         dataset.position(first, i), +lowest, +highest, +values[i]);
  }
}

/// Whether a stored id, in range, is that of a zero-computation expert: experts .. experts + zero_experts - 1, or -1.
template <class Stored>
bool is_zero_expert(Stored id, const ScoringRule& rule) {
  if (rule.zero_experts == 0) return false;
  return std::cmp_equal(id, -1) || (std::cmp_greater_equal(id, rule.experts) &&
                                    std::cmp_less(id, std::uint64_t{rule.experts} + rule.zero_experts));
}

/// Copies expert ids [n][top_k], elements `element` .. of row `first` of a dataset, to `out`: each in 0 .. experts - 1,
/// none twice in a group of top_k. Zero-computation experts are left out: what follows moves up, kNoExpert fills the
/// group.
template <class Stored>
void copy_expert_ids(const hdf5::Dataset& dataset, std::uint64_t first, std::uint64_t element,
                     std::span<const Stored> stored, const ScoringRule& rule, std::span<std::uint16_t> out) {
  for (std::size_t group = 0; group < stored.size(); group += rule.top_k) {
    std::uint64_t seen[largest_experts / 64] = {};
    std::size_t place = group;
    for (std::size_t i = group; i < group + rule.top_k; ++i) {
      if (is_zero_expert(stored[i], rule)) continue;
      if (!std::in_range<std::uint16_t>(stored[i]) || static_cast<std::uint32_t>(stored[i]) >= rule.experts) {
        fail(ErrorKind::input, "{}: expert id out of range at {} (expected 0 to {}, found {})", dataset.name(),
             dataset.position(first, element + i), rule.experts - 1, +stored[i]);
      }
      const auto id = static_cast<std::uint16_t>(stored[i]);
      const std::uint64_t bit = std::uint64_t{1} << (id % 64);
      if ((seen[id / 64] & bit) != 0) {
        fail(ErrorKind::input, "{}: expert {} twice in one token and layer, at {}", dataset.name(), id,
             dataset.position(first, element + i));
      }
      seen[id / 64] |= bit;
      out[place++] = id;
    }
    std::fill(out.begin() + static_cast<std::ptrdiff_t>(place),
              out.begin() + static_cast<std::ptrdiff_t>(group + rule.top_k), kNoExpert);
  }
}

}  // namespace moecarlo
