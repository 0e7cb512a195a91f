#pragma once

#include <cstdint>

namespace moecarlo {

// What a trace may hold at most, by the rules of its format.
constexpr std::int64_t largest_layers = 1024;
constexpr std::int64_t largest_experts = 1024;

}  // namespace moecarlo
