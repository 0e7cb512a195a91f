#include "host/trace/table_cache.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <utility>
#include <vector>

#include "host/trace/routing_table_builder.hpp"
#include "tests/trace/trace_builder.hpp"

namespace moecarlo {
namespace {

using namespace moecarlo::testing;

/// A table, and how many tokens of the trace were read for it.
std::pair<RoutingTable, std::uint64_t> built(const std::filesystem::path& trace, TableOptions options = {}) {
  std::uint64_t read = 0;
  options.cache = true;
  options.calibration_share = options.calibration_share.has_value() ? std::optional(0.5) : std::nullopt;
  options.progress = [&](std::uint64_t done, std::uint64_t) { read = done; };
  return {build_routing_table(trace, options), read};
}

std::vector<std::filesystem::path> caches_in(const ScratchFolder& folder) {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    if (entry.path().string().find(".table-") != std::string::npos) found.push_back(entry.path());
  }
  return found;
}

void expect_equal(const RoutingTable& one, const RoutingTable& other) {
  EXPECT_EQ(one.masks, other.masks);
  EXPECT_EQ(one.expert_of_rank, other.expert_of_rank);
  EXPECT_EQ(one.rank_of_expert, other.rank_of_expert);
  EXPECT_EQ(one.popularity, other.popularity);
  EXPECT_EQ(one.split.calibration, other.split.calibration);
  EXPECT_EQ(one.tokens, other.tokens);
  EXPECT_EQ(one.rows, other.rows);
}

TEST(TableCache, GivesWhatTheTraceGaveWithoutReadingItsTokens) {
  ScratchFolder folder;
  const auto trace = make_logit_trace(folder / "trace.h5");
  const auto [first, read] = built(trace);
  EXPECT_EQ(read, tokens);
  ASSERT_EQ(caches_in(folder).size(), 1U);
  const auto [second, read_again] = built(trace);
  EXPECT_EQ(read_again, 0U);
  expect_equal(first, second);
  std::filesystem::remove(caches_in(folder)[0]);
  expect_equal(first, built(trace).first);
}

TEST(TableCache, BelongsToOneTraceAndOneSplit) {
  ScratchFolder folder;
  const auto trace = make_id_trace(folder / "trace.h5");
  built(trace);
  TableOptions other_seed;
  other_seed.split_seed = 1;
  EXPECT_EQ(built(trace, other_seed).second, tokens);
  TableOptions all;
  all.calibration_share.reset();
  EXPECT_EQ(built(trace, all).second, tokens);
  EXPECT_EQ(caches_in(folder).size(), 3U);
  make_id_trace(trace, [](hid_t file) { set_text(file, "model", "another"); });
  EXPECT_EQ(built(trace).second, tokens);
  EXPECT_EQ(caches_in(folder).size(), 4U);
}

TEST(TableCache, ThatIsDamagedGivesWayToTheTrace) {
  ScratchFolder folder;
  const auto trace = make_id_trace(folder / "trace.h5");
  const RoutingTable sound = built(trace).first;
  const auto cache = caches_in(folder)[0];
  const auto size = std::filesystem::file_size(cache);
  for (std::uintmax_t at = 0; at < size; at += 1499) {
    std::fstream file(cache, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const auto byte = static_cast<char>(file.get() ^ 0x21);
    file.seekp(static_cast<std::streamoff>(at)).put(byte);
    file.close();
    expect_equal(sound, built(trace).first);
    std::filesystem::resize_file(cache, at);
    expect_equal(sound, built(trace).first);
  }
}

TEST(TableCache, IsLeftOutWhereTheFolderCannotBeWritten) {
  ScratchFolder folder;
  const auto trace = make_id_trace(folder / "trace.h5");
  built(trace);
  const auto cache = caches_in(folder)[0];
  std::filesystem::remove(cache);
  std::filesystem::create_directory(cache);  // in its way
  EXPECT_EQ(built(trace).second, tokens);
}

}  // namespace
}  // namespace moecarlo
