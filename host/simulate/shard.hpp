#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace moecarlo {

/// One of several parts of a study that are simulated apart, by other processes or on other machines. A trajectory does
/// not depend on which part it is in, so that the parts together count what the study counts as a whole.
struct Shard {
  std::uint32_t index = 0;  ///< 0 .. count - 1
  std::uint32_t count = 1;  ///< 1: the study as a whole; at most kMost

  static constexpr std::uint32_t kMost = 65536;

  bool is_whole() const { return count == 1; }
  /// The first of `all` trajectories that belongs to this part; of the part after the last one, `all`.
  std::uint64_t first(std::uint64_t all) const { return all / count * index + all % count * index / count; }
  /// How many of them do.
  std::uint64_t part(std::uint64_t all) const { return Shard{index + 1, count}.first(all) - first(all); }
  /// As a user writes it: "0/4".
  std::string text() const { return std::to_string(index) + "/" + std::to_string(count); }

  friend bool operator==(const Shard&, const Shard&) = default;
};

/// Reads "i/n"; nothing where that is no shard.
std::optional<Shard> parse_shard(const std::string& text);

}  // namespace moecarlo
