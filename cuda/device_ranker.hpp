#pragma once

#include <cstdint>
#include <memory>

#include "host/trace/table_ranker.hpp"

namespace moecarlo {

/// Sorts sequences and ranks experts on GPU `device`, with the integers of the host. A table that does not fit
/// its memory, or `most_bytes` of it, passes through in pieces. Throws a machine error where there is no such GPU.
std::unique_ptr<TableRanker> make_device_ranker(int device, std::uint64_t most_bytes = ~std::uint64_t{0});

}  // namespace moecarlo
