#pragma once

#include <array>
#include <cstdint>

namespace moecarlo::testing {

/// Four counter words, two key words, four words of the block.
using PhiloxAnswer = std::array<std::uint32_t, 10>;

/// The known answers of Philox4x32-10 that Random123 publishes with its sources (D. E. Shaw Research, Salmon et al.
/// 2011).
constexpr std::array<PhiloxAnswer, 3> kPhiloxAnswers = {{
    {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
    {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d, 0x41c83b0e, 0xa20bc7c6,
     0x6d5451fd},
    {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb, 0x5001e420,
     0x24126ea1},
}};

}  // namespace moecarlo::testing
