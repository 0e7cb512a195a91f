#pragma once

#include <cstdint>
#include <vector>

namespace moecarlo::testing {

/// Makes a block of each counter and key on the first GPU. inputs: [count][6] counter and key. Returns
/// [count][2][4]: the block made with the key, and with the keys of all rounds.
std::vector<std::uint32_t> philox_on_device(const std::vector<std::uint32_t>& inputs);

}  // namespace moecarlo::testing
