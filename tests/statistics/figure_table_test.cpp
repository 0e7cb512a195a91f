#include "host/statistics/figure_table.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

#include "host/statistics/metric_table.hpp"

namespace moecarlo {
namespace {

TEST(FigureTable, EveryFigureHasAUnitAndADefinition) {
  for (const Metric& metric : metric_table()) {
    ASSERT_NE(metric.text.unit, nullptr) << metric.name;
    EXPECT_STRNE(metric.text.definition, "") << metric.name;
    EXPECT_STRNE(metric.text.denominator, "") << metric.name;
    EXPECT_EQ(unit_of_metric(metric.name_at(1)), metric.text.unit);
  }
  for (const NamedFigure& figure : hardware_figure_table()) {
    EXPECT_EQ(unit_of_hardware_figure(figure.name), figure.text.unit);
  }
}

TEST(FigureTable, PartsOfARoundAndBandsHaveTheUnitsOfTheirFigures) {
  EXPECT_EQ(unit_of_hardware_figure("busy.hb"), "share");
  EXPECT_EQ(unit_of_hardware_figure("busy.verify.experts.hb"), "share");
  EXPECT_EQ(unit_of_hardware_figure("operations_per_byte.verify.experts"), "operations/byte");
  EXPECT_EQ(unit_of_hardware_figure("band.low"), "tokens/s");
  EXPECT_EQ(unit_of_hardware_figure("band.energy_mj_per_token.high"), "mJ/token");
  EXPECT_EQ(unit_of_hardware_figure("band.speedup.low"), "ratio");
  EXPECT_EQ(breakdown_unit("bytes.hb"), "bytes");
  EXPECT_EQ(breakdown_unit("verify.experts"), "s");
  EXPECT_THROW(unit_of_hardware_figure("nothing"), std::out_of_range);
}

}  // namespace
}  // namespace moecarlo
