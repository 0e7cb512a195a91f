#include "host/simulate/shard.hpp"

#include <charconv>

namespace moecarlo {

std::optional<Shard> parse_shard(const std::string& text) {
  Shard shard;
  const char* const end = text.data() + text.size();
  const auto index = std::from_chars(text.data(), end, shard.index);
  if (index.ec != std::errc() || index.ptr == end || *index.ptr != '/') return {};
  const auto count = std::from_chars(index.ptr + 1, end, shard.count);
  if (count.ec != std::errc() || count.ptr != end) return {};
  if (shard.count > Shard::kMost || shard.index >= shard.count) return {};
  return shard;
}

}  // namespace moecarlo
