#include "tests/shared/prepared_study.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include "host/simulate/sources.hpp"
#include "host/trace/routing_table_builder.hpp"
#include "host/trace/score_order.hpp"

namespace moecarlo::testing {

PreparedStudy::PreparedStudy(std::uint32_t number, const std::function<void(RandomStudy&)>& change)
    : random(random_study(number)) {
  if (change) change(random);
  const auto file = std::filesystem::temp_directory_path() /
                    fmt::format("moecarlo-oracle-{}-{}.h5", static_cast<long>(getpid()), number);
  write_trace(random.trace, file);
  TableOptions options;
  options.calibration_share = random.study.calibration;
  options.threads = 1;
  const auto evaluated = [](const std::vector<std::uint32_t>& sequences) {
    return std::vector<int>(sequences.begin(), sequences.end());
  };
  try {
    table = build_routing_table(file, options);
    random.study.trace = file;
    random.study.run.threads = 1;
    if (random.study.demand && !random.trace.apart.empty()) random.study.demand->files["distances"] = file;
    TraceSources sources = load_sources(random.study, table, false);
    if (!random.trace.logit.empty() && !random.implied.empty() && random.study.mode != Mode::perturbed &&
        random.study.draft.replacements == Replacements::scores) {
      sources.score_order = read_score_order(file, table);
    }
    if (random.study.cache.objects == Objects::slices) table = with_slices(std::move(table));
    plan = make_plan(random.study,
                     make_grid(random.study, random.implied, {.layers = table.layers, .objects = table.experts}), table,
                     std::move(sources));
  } catch (...) {
    std::filesystem::remove(file);
    throw;
  }
  std::filesystem::remove(file);
  random.trace.calibration = evaluated(table.split.calibration);
  random.trace.evaluation = evaluated(table.split.evaluation);
}

}  // namespace moecarlo::testing
