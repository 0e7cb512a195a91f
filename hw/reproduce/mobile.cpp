#include <fmt/format.h>

#include "hw/reproduce/published_lines.hpp"
#include "hw/reproduce/reproductions.hpp"

namespace moecarlo::hw {

/// Alone by what is not fetched: tokens that are not important fetch half as much. No rule that finds them is
/// published, and no prefetch is counted here.
std::vector<ReproducedRow> reproduce_mobile(const Preset& preset, const PublishedTables& tables) {
  PresetReader reader(preset);
  const double fetching = reader.share("fetch.share");
  std::vector<double> shares;
  for (const std::string& name : reader.names("unimportant")) shares.push_back(reader.share("unimportant." + name));
  reader.finish();
  std::vector<ReproducedRow> rows;
  for (const auto& table : tables) {
    for (const PublishedLine& line : read_published_lines(table, "quantity,published")) {
      const double published = line.number(1, "published");
      const double needed = 2 * (1 - 1 / published) / fetching;
      for (const double share : shares) {
        rows.push_back(leave_open(
            {line.fields[0], fmt::format("{:g} of the tokens take half, fetching is {:g} of the time", share, fetching),
             "ratio", published},
            1 / (1 - fetching * share / 2),
            fmt::format("how many tokens are not important is not published; {:.2f} of them would give it without any "
                        "prefetch{}",
                        needed, needed > 1 ? ", which is more than all" : ""),
            assumed_of(preset)));
      }
    }
  }
  return rows;
}

}  // namespace moecarlo::hw
