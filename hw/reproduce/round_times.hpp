#pragma once

#include "hw/plan/pass.hpp"

namespace moecarlo::hw {

/// A round of drafting on one device and verifying on another, as its papers state it. Seconds.
struct TwoDeviceRound {
  double draft_steps = 0, draft_step = 0;
  double verification = 0;
  double link = 0;             ///< one crossing
  double prefix = 0;           ///< share of the verification's layers before the draft of the next round starts
  double tokens_per_step = 1;  ///< that a draft step yields where it streams
};

double serial_draft(const TwoDeviceRound& round);  ///< all draft steps

/// One after the other: draft, link, verification (Dovetail, arXiv 2412.18934; Mirror-SD, arXiv 2510.13161, eq. 5).
Pass serial_round(const TwoDeviceRound& round);

/// The next draft beside the suffix of the verification (eq. 10), between two crossings of the link. Where the accepted
/// tokens and their correction do not lie in what was drafted, which happens with a chance of 1 - `reuse`, a fresh
/// draft follows.
Pass mirrored_round(const TwoDeviceRound& round, double reuse);

/// Its time on no machine in particular: each part states its own.
double stated_seconds(const Pass& pass);

/// Tokens of a round at the time of a step each, over the round.
double speed_up(double tokens, double step, double round);

}  // namespace moecarlo::hw
