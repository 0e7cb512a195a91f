#include "hw/reproduce/round_times.hpp"

#include <cmath>
#include <utility>

#include "hw/plan/totals.hpp"

namespace moecarlo::hw {
namespace {

Pass lasting(RoundPart label, double seconds) {
  return {Part{label, 1, {}, seconds}};
}

Pass verifying(double seconds) {
  return lasting(RoundPart::verify_attention, seconds);
}
Pass crossing(double seconds) {
  return lasting(RoundPart::verify_link, seconds);
}
Pass drafting(const TwoDeviceRound& round) {
  const double steps = std::ceil(round.draft_steps / round.tokens_per_step);
  return times(steps, lasting(RoundPart::draft_drafter, round.draft_step));
}

}  // namespace

double serial_draft(const TwoDeviceRound& round) {
  return stated_seconds(drafting(round));
}

Pass serial_round(const TwoDeviceRound& round) {
  return then({drafting(round), crossing(round.link), verifying(round.verification)});
}

Pass mirrored_round(const TwoDeviceRound& round, double reuse) {
  return then({verifying(round.prefix * round.verification), crossing(round.link),
               beside(verifying((1 - round.prefix) * round.verification), drafting(round)), crossing(round.link),
               times(1 - reuse, drafting(round))});
}

double stated_seconds(const Pass& pass) {
  const auto no_experts = [](const RoutedPart&, double, PassTotals&) {};
  return sum_pass({}, pass, {{1}, 1}, no_experts).groups.front().seconds;
}

double speed_up(double tokens, double step, double round) {
  return tokens * step / round;
}

}  // namespace moecarlo::hw
