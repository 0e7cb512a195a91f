#pragma once

#include <functional>
#include <vector>

#include "tests/shared/backend_suite.hpp"
#include "tests/shared/deviations.hpp"
#include "tests/shared/random_study.hpp"

namespace moecarlo::testing {

/// Compares random study `number` (tests/shared/random_study.hpp), as the first of `ways` simulates it, with the
/// oracle: to the last count in the modes that draw nothing, else in the mean over `scale` x some thousand
/// trajectories. The other ways have to add the same integers. `change`: what is not as random_study has it.
void compare_with_oracle(std::uint32_t number, const std::vector<Simulate>& ways, double scale, Deviations& deviations,
                         const std::function<void(RandomStudy&)>& change = {});

}  // namespace moecarlo::testing
