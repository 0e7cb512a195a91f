#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moecarlo {

/// Entropy of a symbol of these counts, in bits: no code that has one word for each symbol is shorter.
double entropy_bits(std::span<const std::uint64_t> counts);

/// Lengths in bits of a Huffman code for symbols of these counts, 0 for those that do not occur; a lone symbol has one
/// bit. None is above `longest` (counts of the rarest are raised until that holds; their sum must be below 2^63).
std::vector<int> huffman_lengths(std::span<const std::uint64_t> counts, int longest);

}  // namespace moecarlo
