#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/parallel/spread.hpp"
#include "hw/presets/preset.hpp"
#include "hw/reproduce/reproduced_row.hpp"

namespace moecarlo::hw {

/// Tables of published figures, CSV files. What is in one is told by its header.
using PublishedTables = std::vector<std::filesystem::path>;

/// Loads of a trace, which take the place of even ones.
struct RealLoads {
  std::string trace;
  std::uint32_t top_k = 0;
  std::vector<ExpertLoads> layers;  ///< choices, of large batches
};

/// Local routing consistency of a trace.
struct LocalityOfTrace {
  std::string name;
  double knee = 0;                                                   ///< where SCH bends, in multiples of top-k
  std::optional<double> domain_correlation, vocabulary_correlation;  ///< of what either says of experts, with SRP
};

/// Published figures of one system, each beside ours. One file each, reproduce/<name>.cpp; constants in
/// presets/reproductions/<name>.toml, published figures beside it in <name>.csv and <name>-*.csv.
struct Reproduction {
  std::string_view name, of;  ///< of which paper
  std::vector<ReproducedRow> (*rows)(const Preset& constants, const PublishedTables& tables);
  /// The same with what a trace's routing gives; null where it has no place.
  std::vector<ReproducedRow> (*rows_with_trace)(const Preset& constants, const PublishedTables& tables,
                                                const RealLoads& real) = nullptr;
  /// In place of both, of what is found on traces; null where it has no place.
  std::vector<ReproducedRow> (*rows_of_locality)(const Preset& constants, const PublishedTables& tables,
                                                 const std::vector<LocalityOfTrace>& traces) = nullptr;
};

/// All but the table of ELMoE-3D, which is one of cells (reproduce.hpp).
const std::vector<Reproduction>& reproductions();

/// Its rows, with those of a trace where there is one. The tables that ship, or `published` in place of all of them.
/// Throws input where a table has a header that none of this reproduction's has.
std::vector<ReproducedRow> reproduced_rows(const Reproduction& reproduction, const std::filesystem::path& published,
                                           const std::optional<RealLoads>& real = {},
                                           const std::vector<LocalityOfTrace>& traces = {});

/// Refuses a table by its header (input).
[[noreturn]] void refuse_table(const std::filesystem::path& table, const std::vector<std::string>& headers);

// One each, in its own file.
std::vector<ReproducedRow> reproduce_llep(const Preset& constants, const PublishedTables& tables);
std::vector<ReproducedRow> reproduce_sn40l(const Preset& constants, const PublishedTables& tables);
std::vector<ReproducedRow> reproduce_llm_in_a_flash(const Preset& constants, const PublishedTables& tables);
std::vector<ReproducedRow> reproduce_cambricon(const Preset& constants, const PublishedTables& tables);
std::vector<ReproducedRow> reproduce_duplex(const Preset& constants, const PublishedTables& tables);
std::vector<ReproducedRow> reproduce_dovetail(const Preset& constants, const PublishedTables& tables);
std::vector<ReproducedRow> reproduce_mirror_sd(const Preset& constants, const PublishedTables& tables);
std::vector<ReproducedRow> reproduce_smolpu(const Preset& constants, const PublishedTables& tables);
std::vector<ReproducedRow> reproduce_edgexpert(const Preset& constants, const PublishedTables& tables);
std::vector<ReproducedRow> reproduce_moe_lrc(const Preset& constants, const PublishedTables& tables,
                                             const std::vector<LocalityOfTrace>& traces);
std::uint32_t segment_of_moe_lrc(const Preset& constants);  ///< tokens
std::vector<ReproducedRow> reproduce_mobile(const Preset& constants, const PublishedTables& tables);
std::vector<ReproducedRow> reproduce_slicemoe(const Preset& constants, const PublishedTables& tables);
std::vector<ReproducedRow> reproduce_specmoe(const Preset& constants, const PublishedTables& tables);
std::vector<ReproducedRow> reproduce_pim_gpt(const Preset& constants, const PublishedTables& tables);
std::vector<ReproducedRow> reproduce_mcbp(const Preset& constants, const PublishedTables& tables);
std::vector<ReproducedRow> reproduce_dfloat11(const Preset& constants, const PublishedTables& tables);
std::vector<ReproducedRow> reproduce_speq(const Preset& constants, const PublishedTables& tables);
std::vector<ReproducedRow> reproduce_wsc(const Preset& constants, const PublishedTables& tables);
std::vector<ReproducedRow> reproduce_wsc_with_trace(const Preset& constants, const PublishedTables& tables,
                                                    const RealLoads& real);

}  // namespace moecarlo::hw
