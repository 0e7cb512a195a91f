#pragma once

#include <cstdint>
#include <vector>

namespace moecarlo::hw {

/// Cached tokens of a request: of every request as many, or of each any number from the least to the longest, all as
/// likely. Room is kept for the longest.
struct Context {
  std::uint32_t least = 1024, longest = 1024;

  constexpr Context() = default;
  constexpr Context(std::uint32_t all)
      : least(all), longest(all) {}  // NOLINT(google-explicit-constructor): one number is one
  constexpr Context(std::uint32_t from, std::uint32_t to) : least(from), longest(to) {}
  constexpr operator std::uint32_t() const {
    return longest;
  }  // NOLINT(google-explicit-constructor): what room is kept for

  constexpr bool is_range() const { return least < longest; }
  constexpr double mean() const { return (1.0 * least + longest) / 2; }
};

/// Contexts of a batch in several rounds that are as likely: [rounds][requests], drawn with a fixed seed so that the
/// rounds of each request divide the range evenly. One round of one number where there is no range.
std::vector<std::vector<double>> drawn_contexts(const Context& context, std::uint32_t requests);

}  // namespace moecarlo::hw
