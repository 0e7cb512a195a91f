#pragma once

#include "host/simulate/plan.hpp"
#include "host/study/study.hpp"
#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// The study of a study's prefills: a replay at depth 0 whose passes are chunks, so that a request of a pass is a
/// token.
Study prefill_study(const Study& study);

/// The plan of that. `table`: build_prefill_table's, or of slices, with what load_sources says of it for prefill_study.
/// Demand rules are those of the study's own cells, `decode`, calibrated there. `implied`: capacities of hardware, at
/// the batch of a chunk.
Plan plan_prefills(const Study& study, const std::vector<ImpliedCapacity>& implied, const RoutingTable& table,
                   TraceSources sources, const TallyShape& decode);

/// Counts what a plan_prefills lays out, in file order, in chunks through caches that begin as the study's do
/// and are never emptied; the last chunk of a sequence may be shorter. On the CPU, exact. Throws a
/// machine error where the memory does not do.
Prefills count_prefills(const Plan& plan, const RoutingTable& table, unsigned threads);

}  // namespace moecarlo
