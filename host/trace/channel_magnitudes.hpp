#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// How large the inputs are that experts are given, channel by channel: `channel_magnitude` of a trace, at the tokens
/// of its routing table. |x| = scale x stored value.
struct ChannelMagnitudes {
  std::uint32_t channels = 0;           ///< 1 .. kMostChannels; 0 where the trace has none
  std::vector<float> scale;             ///< [layers] above 0
  std::vector<std::uint8_t> of_tokens;  ///< [tokens][layers][channels]
};

/// Reads them. Throws an `Error` of kind input where the file breaks a rule of the format or memory does not suffice.
ChannelMagnitudes read_channel_magnitudes(const std::filesystem::path& path, const RoutingTable& table);

}  // namespace moecarlo
