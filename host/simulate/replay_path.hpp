#pragma once

#include "host/simulate/plan.hpp"

namespace moecarlo {

/// Lays out the path of every cell of a replay: the evaluation sequences front to back, in file order, at one request;
/// a round advances by its accepted length + 1 and ends a sequence where its deepest column would leave it. Where the
/// study replays recorded rounds, those, in recorded order. Throws a usage error where a depth does not fit.
void lay_out_replay(Plan& plan, const Study& study, const RoutingTable& table);

}  // namespace moecarlo
