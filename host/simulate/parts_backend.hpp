#pragma once

#include <functional>
#include <memory>

#include "host/simulate/backend.hpp"

namespace moecarlo {

/// The backend of a plan, given how to make one for a view of it: that one, or, where some cells of samples stand
/// apart, one for the cells that share their starts and then one for the others, which act as one.
std::unique_ptr<Backend> in_parts(const Plan& plan,
                                  const std::function<std::unique_ptr<Backend>(const PlanView&)>& make);

}  // namespace moecarlo
