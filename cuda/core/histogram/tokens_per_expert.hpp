#pragma once

#include "cuda/core/histogram/traits.hpp"

namespace moecarlo {

/// Tokens per expert: how many columns of a verify pass use each of its distinct experts, and each of those that were
/// resident. What one fetch of an expert serves.
struct TokensPerExpert : HistogramTraits {
  static constexpr const char* kName = "tokens_per_expert";
  static constexpr bool kOfUnion = true;
  static constexpr bool kOfPoint = true;
  static constexpr std::uint32_t kLeast = 1;
  static constexpr std::uint32_t kMostBins = 64;

  MOECARLO_HOST_DEVICE static std::uint32_t bins(const Cell& cell, std::uint32_t /*experts*/) {
    const std::uint32_t columns = cell.verified() * cell.batch;
    return columns < kMostBins ? columns : kMostBins;
  }

  template <int Words, class Column, class Residents, class OfPoint>
  MOECARLO_HOST_DEVICE static void count(const PassColumns<Words, Column, Residents>& pass,
                                         const HistogramTotal& of_union, const OfPoint& of_point) {
    std::uint32_t tokens[64 * Words] = {};
    for (std::uint32_t i = 0; i < pass.count; ++i) {
      each_member(pass.column(i), [&](std::uint32_t expert) MOECARLO_INLINED { ++tokens[expert]; });
    }
    const auto add = [&](const HistogramTotal& total, const ExpertMask<Words>& of) MOECARLO_INLINED {
      each_member(of, [&](std::uint32_t expert) MOECARLO_INLINED {
        if (tokens[expert] > 0) total.add(tokens[expert]);
      });
    };
    add(of_union, ExpertMask<Words>::first(64 * Words));
    for (std::uint32_t point = 0; point < pass.cell.points(); ++point) add(of_point(point), pass.residents(point));
  }
};

}  // namespace moecarlo
