#pragma once

#include <vector>

#include "host/report/narrative/document.hpp"
#include "host/weights/format_figures.hpp"

namespace moecarlo {

/// What a report says about the same weights in other formats.
std::vector<Block> format_blocks(const FormatFigures& formats);

}  // namespace moecarlo
