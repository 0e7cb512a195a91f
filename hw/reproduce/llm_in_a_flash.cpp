#include <fmt/format.h>

#include "host/support/error.hpp"
#include "hw/machine/task.hpp"
#include "hw/model/model.hpp"
#include "hw/reproduce/published_lines.hpp"
#include "hw/reproduce/reproductions.hpp"

namespace moecarlo::hw {
namespace {

constexpr const char* kLoadsHeader = "step,gigabytes,gigabytes_per_second,published_ms";
constexpr const char* kTokensHeader = "model,processor,all_loaded_ms,method_ms";
constexpr double kMillisecond = 1e-3;

/// Seconds to read so many bytes of a system's home in one stream.
double stream_seconds(const System& system, double bytes) {
  return seconds_of(system, read(system, system.units.front(), system.home(), bytes));
}

ReproducedRow load_row(const PublishedLine& line, double tolerance) {
  const double gigabytes = line.number(1, "gigabytes"), rate = line.number(2, "gigabytes_per_second");
  return compare({"loading of a token's weights",
                  fmt::format("OPT-6.7B in FP16, {}: {:g} GB at {:g} GB/s", line.fields[0], gigabytes, rate), "ms",
                  line.number(3, "published_ms")},
                 gigabytes / rate / kMillisecond, tolerance, {}, "published beside its own bytes and rate");
}

void add_tokens(const PublishedLine& line, const std::filesystem::path& table, const std::string& machine,
                std::vector<ReproducedRow>& rows) {
  const Model model = make_model(published_model(table, line.fields[0]));
  const bool known =
      line.fields[1] == "CPU" || line.fields[1] == "M1 Metal";  // of the machine whose flash is published
  const std::string where = fmt::format("{} in FP16, {}", model.name, line.fields[1]);
  const double loading = stream_seconds(read_system(machine), stored_bytes(model)) / kMillisecond;
  const Claim all{"time of a token, all weights loaded, over loading alone", where, "ms",
                  line.number(2, "all_loaded_ms")};
  rows.push_back(known ? compare_floor(all, loading, {}, "published below what its flash takes")
                       : leave_open(all, std::nullopt, "the rate of this machine's flash is not published"));
  rows.push_back(leave_open({"time of a token with the method", where, "ms", line.number(3, "method_ms")}, std::nullopt,
                            "what is read of memory and what is computed are not published"));
}

}  // namespace

/// Bytes over rates of the published table; and whole tokens over what loading alone takes on the preset's flash.
std::vector<ReproducedRow> reproduce_llm_in_a_flash(const Preset& constants, const PublishedTables& tables) {
  PresetReader reader(constants);
  const double tolerance = reader.share("table.tolerance");
  const std::string machine = reader.text("table.machine");
  reader.finish();
  std::vector<ReproducedRow> rows;
  for (const auto& table : tables) {
    const std::string header = published_header(table);
    if (header != kLoadsHeader && header != kTokensHeader) refuse_table(table, {kLoadsHeader, kTokensHeader});
    for (const PublishedLine& line : read_published_lines(table, header)) {
      if (header == kLoadsHeader) {
        rows.push_back(load_row(line, tolerance));
      } else {
        add_tokens(line, table, machine, rows);
      }
    }
  }
  return rows;
}

}  // namespace moecarlo::hw
