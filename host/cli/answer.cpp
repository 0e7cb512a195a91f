#include "host/cli/answer.hpp"

#include "host/cli/terminal.hpp"
#include "host/report/narrative/decision.hpp"

namespace moecarlo::cli {

void say_answer(const StudyResults& results, const std::filesystem::path& folder) {
  for (const std::string& line : short_answer(results)) say("{}\n", line);
  say("report: {}\nnext: {}\n", (folder / "report.html").string(), next_command(results, folder.string()));
}

}  // namespace moecarlo::cli
