#pragma once

#include <nlohmann/json_fwd.hpp>

#include "host/report/charts/chart.hpp"

namespace moecarlo {

/// A chart as data, for whoever draws it again: its kind ("line", "panels", "bars", "columns", "heat"), its texts and
/// its values; null where a value is not known.
nlohmann::ordered_json to_json(const Chart& chart);

}  // namespace moecarlo
