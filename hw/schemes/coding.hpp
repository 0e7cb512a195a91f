#pragma once

#include <string>
#include <vector>

#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {

// Ways to store and multiply the weights, or to read the cache, that go with any scheme: "ar+dfloat11",
// "eagle+bstc+brcr". They change bytes and operations, and nothing of what a scheme does.
//
//   dfloat11  BF16 weights with Huffman-coded exponents (arXiv 2504.11651), lossless: size, and time to decode. The
//   code
//             is the counted one where weights were counted, else of the published entropy.
//   bstc      INT8 weights whose magnitude planes are two-state coded where that is shorter (MCBP, arXiv 2509.10372)
//   brcr      operations with equal columns of bits merged (MCBP), on a unit that does them
//   bgpp      keys and values that are read at all (MCBP): a stated share, and lossy
//
// bstc and brcr are taken from counts of real weights in groups of four rows: those with scales of groups where the
// model's weights have these, else those with a scale a row. Dense weights are taken to be like the experts counted.

/// The name in front of the codings, which are appended.
std::string without_codings(const std::string& name, std::vector<std::string>& codings);

/// The constants of a coding, their keys beginning with its name. Throws usage where there is no such coding, or it has
/// to be counted and was not.
Preset coding_constants(const std::string& coding, const BitSlices* counted);

/// Takes the constants of codings out of those of a scheme that has them.
std::vector<Preset> take_coding_constants(Preset& constants, const std::vector<std::string>& codings);

/// The same scheme on weights, or a cache, so coded; "NAME+coding". Its items and plans throw usage where the model has
/// other weights.
Scheme with_coding(const Scheme& scheme, const std::string& coding, const Preset& constants);

/// What is lost where schemes read less than everything; empty where nothing is.
std::vector<std::string> coding_notes(const std::vector<Scheme>& schemes);

}  // namespace moecarlo::hw
