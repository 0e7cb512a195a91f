#pragma once

#include <vector>

#include "host/report/narrative/document.hpp"
#include "host/weights/weight_figures.hpp"

namespace moecarlo {

/// What a report says about the bits of some weights: figures, tables and how to read them. Of `figures` those of
/// bit_slice_figures are taken.
std::vector<Block> bit_slice_blocks(const WeightFigures& weights, const std::vector<Figure>& figures);

}  // namespace moecarlo
