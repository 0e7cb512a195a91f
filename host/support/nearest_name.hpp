#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace moecarlo {

/// The name that `word` was probably meant to be: the fewest letters inserted, left out, changed or swapped with their
/// neighbour, at most a third of the word's and at most `most`. Empty where none is that near.
std::string_view nearest_name(std::string_view word, std::span<const std::string_view> names, std::size_t most = 64);

/// The end of a refusal of `word`: " (is it name?)", or nothing where no name is near.
std::string is_it(std::string_view word, std::span<const std::string_view> names, std::size_t most = 64);

}  // namespace moecarlo
