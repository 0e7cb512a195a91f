#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace moecarlo::hw {

/// What a constant measures. A width in bits (of a weight, say) is no amount of data.
enum class Dimension : std::uint8_t {
  count,
  share,
  width,
  bytes,
  bytes_per_second,
  hertz,
  operations_per_second,
  joules_per_byte,
  joules_per_operation,
  watts,
  seconds
};

/// A unit of measurement: its dimension, and its value in SI units, data in bytes.
struct Measure {
  Dimension dimension{};
  double factor = 1;
};

/// Reads count, share, bit, B, B/s, bit/s, Hz, OPS, FLOPS, J/B, J/bit, J/op, W and s with a prefix from p to P, bytes
/// also with Ki to Pi; nothing where it is none of these. A width has no prefix: "bit" is a width, "Mbit" data.
std::optional<Measure> parse_unit(std::string_view unit);

}  // namespace moecarlo::hw
