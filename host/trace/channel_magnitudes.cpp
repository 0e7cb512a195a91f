#include "host/trace/channel_magnitudes.hpp"

#include <algorithm>

#include "host/support/memory_limit.hpp"
#include "host/trace/kept_tokens.hpp"
#include "host/trace/trace_contents.hpp"
#include "host/trace/trace_reader.hpp"

namespace moecarlo {

ChannelMagnitudes read_channel_magnitudes(const std::filesystem::path& path, const RoutingTable& table) {
  const TraceReader reader(path);
  expect_same_trace(reader.info(), reader.phase(), table);
  ChannelMagnitudes magnitudes;
  magnitudes.channels = reader.extras().channels;
  if (magnitudes.channels == 0) return magnitudes;
  magnitudes.scale = reader.extras().channel_scale;
  const std::size_t per_token = std::size_t{table.layers} * magnitudes.channels;
  expect_memory(table.tokens * per_token, table.info.path + ": the channel magnitudes");
  magnitudes.of_tokens.resize(table.tokens * per_token);
  const hdf5::Dataset dataset = open_trace(path).root.open_dataset("channel_magnitude");
  for_each_kept(reader, table, [&](const KeptChunk& chunk) {
    std::vector<std::uint8_t> stored(chunk.count * per_token);
    dataset.read_rows(chunk.first, chunk.count, stored.data());
    auto to = magnitudes.of_tokens.begin() + static_cast<std::ptrdiff_t>(chunk.first_kept * per_token);
    for (const std::uint32_t token : chunk.kept) {
      to = std::copy_n(stored.begin() + static_cast<std::ptrdiff_t>(token * per_token), per_token, to);
    }
  });
  return magnitudes;
}

}  // namespace moecarlo
