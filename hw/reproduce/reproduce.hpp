#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "hw/reproduce/design.hpp"
#include "hw/reproduce/table_laws.hpp"

namespace moecarlo::hw {

constexpr std::array<std::uint32_t, 4> kTableBatches{1, 4, 8, 16};

/// One design of the published table: scheme and model on the system with so many GB of near memory at a batch.
struct TableKey {
  std::uint32_t hb_gb = 0;
  std::string model, scheme;  ///< names of a model preset and of a scheme
  std::uint32_t batch = 0;

  friend bool operator==(const TableKey&, const TableKey&) = default;
};

/// What was published of it: speed-ups over autoregressive decoding on the xPU at the same batch.
struct PublishedCell {
  TableKey key;
  double alpha = 0;  ///< accepted length / draft depth
  double ar = 0;     ///< the scheme without drafting
  std::optional<double> sd;
  std::string place = {};  ///< "file:line", for messages
};

/// Reads a table with the header hb_gb,model,scheme,batch,alpha,ar_speedup,sd_speedup; an empty sd_speedup is one that
/// was not given. Model names are taken in lower case. Throws input with file and line, also where a cell comes twice.
std::vector<PublishedCell> read_published_table(const std::filesystem::path& file);

/// One cell of the table as the model has it: by the law, and with hits counted on routing.
struct ReproducedCell {
  TableKey key;
  double slots = 0;          ///< whole experts a layer in HB, without drafting
  double distinct = 0;       ///< experts of a layer that an autoregressive step touches
  double ar = 0;             ///< speed-up without drafting
  double ar_roof = 0;        ///< the same if the cache held as much of every step as it has slots: no cache does better
  double ar_uncached = 0;    ///< the same without a cache
  std::optional<double> sd;  ///< speed-up with drafting; needs a published alpha
  RoundCost token, reference_token;              ///< cost of one token in the faster of these modes, and on the xPU
  std::optional<double> ar_hit_share_published;  ///< of a step's experts that would have to hit for the published `ar`
  std::optional<double> ar_counted, sd_counted;  ///< filled in by whoever simulates
  std::optional<double> ar_hit_share_counted;    ///< likewise
  std::optional<PublishedCell> published;

  std::optional<double> alpha() const { return published ? std::optional(published->alpha) : std::nullopt; }
};

/// All models x systems x schemes x batches 1, 4, 8, 16, in this order.
/// Autoregressive hits follow hit_share; hits of a round, whose unions are large, held_share: the published speculative
/// cells respect what fits, the autoregressive ones do not.
std::vector<ReproducedCell> reproduce_table(const TableLaws& laws, const std::vector<PublishedCell>& published);

/// Whether a published cell is more than the model's own error, 3 % where no cache is involved, above its roof; and
/// whether it is as without a cache though there is room for one.
bool above_roof(const ReproducedCell& cell);
bool seems_uncached(const ReproducedCell& cell);

/// Errors against the published cells: |ours / published - 1|.
struct TableErrors {
  std::size_t cells = 0;
  double median = 0, worst = 0;
};
TableErrors errors_of(std::vector<double> errors);

}  // namespace moecarlo::hw
