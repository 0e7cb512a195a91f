#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// What it took to read a trace, kept beside it for the next time: the masks and ranks of its routing table, in a file
/// `TRACE.table-KEY.h5`. The key follows from every byte of the trace and from what splits its sequences, so that
/// another trace or another split has another file. It may be deleted at any time.
class TableCache {
 public:
  /// Reads the trace once, in large blocks, for the key. Throws input where it cannot be read.
  TableCache(const std::filesystem::path& trace, std::optional<double> calibration_share, std::uint32_t split_seed,
             unsigned threads);

  const std::filesystem::path& file() const { return file_; }

  /// Fills masks, ranks and popularity of a table of which all else is known, `masks` long enough. False, and the table
  /// as it was but for its masks, where there is no file or it is not what was written.
  bool read(RoutingTable& table) const;

  /// Keeps them. A folder that cannot be written keeps none: false.
  bool write(const RoutingTable& table) const;

 private:
  std::filesystem::path file_;
};

}  // namespace moecarlo
