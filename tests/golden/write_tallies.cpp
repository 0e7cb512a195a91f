// Writes the tallies of the random studies 0 .. COUNT - 1: golden_tallies FOLDER COUNT. scripts/cross_check/golden.py
// compares what two versions of the program count.
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

#include "host/simulate/cpu_backend.hpp"
#include "host/simulate/run.hpp"
#include "host/study/names.hpp"
#include "tests/shared/prepared_study.hpp"

using namespace moecarlo;

namespace {

constexpr std::uint64_t kTrajectories = 192;  // every group and every half of a replicate holds some

void write_study(std::uint32_t number, const std::filesystem::path& folder) {
  const testing::PreparedStudy prepared(number);
  const auto backend = make_cpu_backend(prepared.table.view(), prepared.plan, 1);
  RunOptions options;
  options.trajectories = prepared.plan.trajectories(kTrajectories);
  Tallies tallies(prepared.plan.shape);
  run(*backend, options, tallies);
  write_tallies(folder / fmt::format("{:04}.h5", number), tallies, {prepared.random.description, "{}", "", true});
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return EXIT_FAILURE;
  const std::filesystem::path folder = arguments[1];
  std::filesystem::create_directories(folder);
  for (std::uint32_t number = 0; number < std::stoul(arguments[2]); ++number) write_study(number, folder);
}
