#pragma once

#include <span>
#include <string_view>

namespace moecarlo {

/// What a figure is, in words that files, reports and reference pages share.
struct FigureText {
  const char* unit;
  const char* definition;   ///< what is counted or computed
  const char* denominator;  ///< what it is divided by: summed over all before dividing; empty: nothing
};

struct NamedFigure {
  const char* name;
  bool per_layer;
  FigureText text;
};

/// The figures of design points beside those of `metric_table`, which are ratios of counts.
std::span<const NamedFigure> further_metrics();

/// The figures of hardware rows, in the order of hardware.csv. Those of a row's breakdown are named by their pieces.
std::span<const NamedFigure> hardware_figure_table();

/// The unit of a figure of a hardware row's breakdown: "bytes.hb" are bytes, "verify.experts" seconds.
std::string_view breakdown_unit(std::string_view name);

/// The unit of a figure by its name: of design points, or of hardware rows, there also of parts of a round
/// ("busy.verify.experts.hb") and of what assumed constants make of it ("band.speedup.low"). Throws std::out_of_range
/// for another name.
std::string_view unit_of_metric(std::string_view name);
std::string_view unit_of_hardware_figure(std::string_view name);

}  // namespace moecarlo
