#include "hw/reproduce/reproductions.hpp"

#include <fmt/ranges.h>

#include <algorithm>

#include "host/support/error.hpp"
#include "hw/reproduce/published_lines.hpp"

namespace moecarlo::hw {
namespace {

PublishedTables shipped_tables(const Preset& constants) {
  const std::filesystem::path file = constants.file;
  const std::string name = file.stem().string();
  PublishedTables tables;
  for (const auto& entry : std::filesystem::directory_iterator(file.parent_path())) {
    const std::string stem = entry.path().stem().string();
    if (entry.path().extension() == ".csv" && (stem == name || stem.starts_with(name + "-")))
      tables.push_back(entry.path());
  }
  std::sort(tables.begin(), tables.end(),
            [](const auto& a, const auto& b) { return a.stem().string() < b.stem().string(); });
  return tables;
}

}  // namespace

const std::vector<Reproduction>& reproductions() {
  static const std::vector<Reproduction> all{
      {"cambricon", "Cambricon-LLM, arXiv 2409.15654", reproduce_cambricon},
      {"dfloat11", "DFloat11, arXiv 2504.11651", reproduce_dfloat11},
      {"dovetail", "Dovetail, arXiv 2412.18934", reproduce_dovetail},
      {"duplex", "Duplex, arXiv 2409.01141", reproduce_duplex},
      {"edgexpert", "EdgeXpert, arXiv 2608.05303", reproduce_edgexpert},
      {"llep", "LLEP, arXiv 2601.17111", reproduce_llep},
      {"llm-in-a-flash", "LLM in a flash, arXiv 2312.11514", reproduce_llm_in_a_flash},
      {"mcbp", "MCBP, arXiv 2509.10372", reproduce_mcbp},
      {"mirror-sd", "Mirror-SD, arXiv 2510.13161", reproduce_mirror_sd},
      {"mobile", "MoBiLE, arXiv 2510.12357", reproduce_mobile},
      {"moe-lrc", "moe-lrc, arXiv 2505.16056", nullptr, nullptr, reproduce_moe_lrc},
      {"pim-gpt", "PIM-GPT, arXiv 2310.09385", reproduce_pim_gpt},
      {"slicemoe", "SliceMoE, arXiv 2512.12990", reproduce_slicemoe},
      {"smolpu", "SMoLPU, ISSCC 2026, 18.3", reproduce_smolpu},
      {"sn40l", "SN40L, arXiv 2405.07518", reproduce_sn40l},
      {"specmoe", "SpecMoE, arXiv 2604.10152", reproduce_specmoe},
      {"speq", "SPEQ, arXiv 2510.18525", reproduce_speq},
      {"wsc", "MoEntwine, arXiv 2510.25258", reproduce_wsc, reproduce_wsc_with_trace}};
  return all;
}

std::vector<ReproducedRow> reproduced_rows(const Reproduction& reproduction, const std::filesystem::path& published,
                                           const std::optional<RealLoads>& real,
                                           const std::vector<LocalityOfTrace>& traces) {
  const Preset constants = read_preset(find_preset("reproductions", std::string(reproduction.name)));
  const PublishedTables tables = published.empty() ? shipped_tables(constants) : PublishedTables{published};
  if (reproduction.rows_of_locality != nullptr) return reproduction.rows_of_locality(constants, tables, traces);
  return real ? reproduction.rows_with_trace(constants, tables, *real) : reproduction.rows(constants, tables);
}

void refuse_table(const std::filesystem::path& table, const std::vector<std::string>& headers) {
  fail(ErrorKind::input, "{}:1: expected the header {}, found {}", table.string(), fmt::join(headers, " or "),
       published_header(table));
}

}  // namespace moecarlo::hw
