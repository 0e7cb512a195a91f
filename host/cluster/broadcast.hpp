#pragma once

#include "host/cluster/communicator.hpp"
#include "host/simulate/sources.hpp"
#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// All: what process 0 has read of a trace becomes what all have, so that the file is read once.
void broadcast(Communicator& all, RoutingTable& table, TraceSources& sources);

}  // namespace moecarlo
