#pragma once

#include <string>
#include <vector>

#include "host/report/narrative/document.hpp"
#include "host/statistics/results.hpp"

namespace moecarlo {

inline constexpr double bytes_per_megabyte = 1e6;

/// Rows that differ in kept bits alone, bits ascending: the same bytes of fast memory hold more experts of fewer bits.
using EqualBytes = std::vector<const BitTrade*>;

/// Of each system (variants apart), scheme and batch the line that holds its fastest row, in order of first appearance.
std::vector<EqualBytes> shown_equal_bytes(const StudyResults& results);

/// Which bits a line is fastest at and which of the others cannot be told apart from that, in a sentence that names the
/// design. Empty where the line has one number of bits.
std::string fastest_bits(const EqualBytes& line);

/// The same for the fastest line of the smallest batch; empty without lines.
std::string experts_or_bits(const StudyResults& results);

/// The section of the report: what a draft reads of an expert, which bits are fastest, all figures of the lines shown.
/// Empty where nothing drafts with upper bits.
std::vector<Block> bit_trade_blocks(const StudyResults& results, const std::vector<Figure>& figures);

/// Experts, acceptance, bytes and speed by kept bits on the lines of the smallest batch; none where all have one number
/// of bits.
std::vector<Figure> bit_trade_figures(const StudyResults& results);

}  // namespace moecarlo
