#include "host/trace/table_cache.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <span>
#include <vector>

#include "cuda/core/expert_mask.hpp"
#include "host/support/descriptor.hpp"
#include "host/support/error.hpp"
#include "host/support/hdf5.hpp"
#include "host/support/parallel.hpp"
#include "host/trace/table_ranker.hpp"

namespace moecarlo {
namespace {

constexpr const char* kSchema = "moecarlo-table-cache";
constexpr std::int64_t kVersion = 1;
constexpr std::uint64_t kBlockBytes = std::uint64_t{8} << 20;

/// 64 bits of everything that is mixed in, in its order: each step is one to one, so that no change of a single word is
/// lost. Against accidents, not against enemies: who can write beside a trace can change the trace.
class Hash {
 public:
  void mix(std::uint64_t word) {
    const std::uint64_t product = (state_ ^ word) * 0x9e3779b97f4a7c15U;
    state_ = product ^ (product >> 32);
  }
  std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 0x243f6a8885a308d3U;
};

/// Four words at a time in lanes of their own, which a processor mixes side by side.
std::uint64_t hash_of(std::span<const std::uint64_t> words) {
  Hash lanes[4];
  std::size_t i = 0;
  for (; i + 4 <= words.size(); i += 4) {
    for (std::size_t lane = 0; lane < 4; ++lane) lanes[lane].mix(words[i + lane]);
  }
  Hash hash;
  for (const Hash& lane : lanes) hash.mix(lane.value());
  for (; i < words.size(); ++i) hash.mix(words[i]);
  return hash.value();
}

/// Of all that is kept.
std::uint64_t hash_of(const RoutingTable& table, const std::vector<std::uint16_t>& expert_of_rank,
                      const std::vector<std::uint32_t>& popularity) {
  Hash hash;
  hash.mix(hash_of(table.masks));
  for (const std::uint16_t expert : expert_of_rank) hash.mix(expert);
  for (const std::uint32_t choices : popularity) hash.mix(choices);
  return hash.value();
}

[[noreturn]] void fail_reading(const std::filesystem::path& file, const char* why) {
  fail(ErrorKind::input, "{}: cannot be read ({})", file.string(), why);
}

std::uint64_t hash_of_file(const std::filesystem::path& path, unsigned threads) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status = {};
  if (!file.valid() || ::fstat(file.get(), &status) != 0) fail_reading(path, std::strerror(errno));
  const auto size = static_cast<std::uint64_t>(status.st_size);
  std::vector<std::uint64_t> blocks((size + kBlockBytes - 1) / kBlockBytes);
  parallel_for(blocks.size(), threads, [&](std::uint64_t block, unsigned) {
    const std::uint64_t first = block * kBlockBytes, bytes = std::min(kBlockBytes, size - first);
    std::vector<std::uint64_t> words((bytes + 7) / 8, 0);
    auto* const to = reinterpret_cast<char*>(words.data());
    for (std::uint64_t done = 0; done < bytes;) {
      const ssize_t got = ::pread(file.get(), to + done, bytes - done, static_cast<off_t>(first + done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) fail_reading(path, got == 0 ? "it has become shorter" : std::strerror(errno));
      done += static_cast<std::uint64_t>(got);
    }
    blocks[block] = hash_of(words);
  });
  blocks.push_back(size);
  return hash_of(blocks);
}

/// Whether ranks are an order of the experts of each layer, and masks name experts only.
bool is_sound(const RoutingTable& table, const std::vector<std::uint16_t>& expert_of_rank) {
  for (std::uint32_t layer = 0; layer < table.layers; ++layer) {
    std::vector<bool> seen(table.experts, false);
    for (std::uint32_t rank = 0; rank < table.experts; ++rank) {
      const std::uint16_t expert = expert_of_rank[std::size_t{layer} * table.experts + rank];
      if (expert >= table.experts || seen[expert]) return false;
      seen[expert] = true;
    }
  }
  const auto words = static_cast<std::size_t>(table.words);
  std::vector<std::uint64_t> beyond(words, ~std::uint64_t{0});
  for (std::uint32_t expert = 0; expert < table.experts; ++expert) {
    beyond[expert / 64] &= ~(std::uint64_t{1} << (expert % 64));
  }
  for (std::size_t first = 0; first < table.masks.size(); first += words) {
    std::uint32_t chosen = 0;
    for (std::size_t word = 0; word < words; ++word) {
      if ((table.masks[first + word] & beyond[word]) != 0) return false;
      chosen += static_cast<std::uint32_t>(std::popcount(table.masks[first + word]));
    }
    if (chosen > table.top_k) return false;
  }
  return true;
}

}  // namespace

TableCache::TableCache(const std::filesystem::path& trace, std::optional<double> calibration_share,
                       std::uint32_t split_seed, unsigned threads) {
  Hash key;
  key.mix(hash_of_file(trace, threads));
  key.mix(std::bit_cast<std::uint64_t>(calibration_share.value_or(-1.0)));
  key.mix(split_seed);
  key.mix(static_cast<std::uint64_t>(kVersion));
  file_ = trace;
  file_ += fmt::format(".table-{:016x}.h5", key.value());
}

bool TableCache::read(RoutingTable& table) const {
  std::error_code ignored;
  if (!std::filesystem::exists(file_, ignored)) return false;
  try {
    const hdf5::Group root = hdf5::open_file(file_);
    if (root.read_string("schema") != kSchema || root.read_integer("schema_version") != kVersion) return false;
    const std::uint64_t ranks = std::uint64_t{table.layers} * table.experts;
    const auto expert_of_rank = root.read_integers<std::uint16_t>("expert_of_rank", {ranks});
    const auto popularity = root.read_integers<std::uint32_t>("popularity", {ranks});
    const hdf5::Dataset masks = root.open_dataset("masks");
    if (masks.element() != hdf5::Element::uint64 || masks.extents() != std::vector{table.masks.size()}) return false;
    masks.read_rows(0, masks.rows(), table.masks.data());
    const auto stored = static_cast<std::uint64_t>(root.read_integer("hash"));
    if (hash_of(table, expert_of_rank, popularity) != stored || !is_sound(table, expert_of_rank)) return false;
    table.expert_of_rank = expert_of_rank;
    table.popularity = popularity;
    invert_ranks(table);
    return true;
  } catch (const Error&) {  // damaged: the trace itself is read
    return false;
  }
}

bool TableCache::write(const RoutingTable& table) const {
  try {
    hdf5::OutputFile output(file_);
    hdf5::OutputGroup& root = output.root();
    root.write_string("schema", kSchema);
    root.write_integer("schema_version", kVersion);
    root.write_integer("hash", static_cast<std::int64_t>(hash_of(table, table.expert_of_rank, table.popularity)));
    root.write<std::uint16_t>("expert_of_rank", {table.expert_of_rank.size()}, table.expert_of_rank);
    root.write<std::uint32_t>("popularity", {table.popularity.size()}, table.popularity);
    root.write<std::uint64_t>("masks", {table.masks.size()}, table.masks);
    output.commit();
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace moecarlo
