#include "host/report/narrative/explanations.hpp"

#include <fmt/format.h>

#include <cmath>

#include "host/report/narrative/controls.hpp"
#include "host/report/narrative/selection.hpp"
#include "host/report/narrative/speculation.hpp"
#include "host/report/results/number_text.hpp"

namespace moecarlo {
namespace {

bool is_compared(const StudyResults& results) {
  return !results.break_even.empty() || !shown_hardware_break_even(results, 1).empty();
}

}  // namespace

std::string oracle_explanation(const StudyResults& results) {
  const MetricResult* oracle = find_metric(typical_point(results), "oracle_hit_rate");
  if (!oracle) return {};
  const bool replaces = oracle->estimate.mc_half_width || oracle->estimate.trace_half_width;
  return std::string("The oracle is the best that any cache of the same size could do. ") +
         (replaces
              ? "Rounds follow each other here, so it is Belady's optimal replacement with bypass: it knows every "
                "later pass, evicts what is needed last and does not keep what is not worth keeping. Beside static "
                "residents of a cold start, which alone are loaded beforehand, it is a cache that foresees the "
                "next pass."
              : "Every round draws fresh starts here, so it is a cache that foresees the next pass and holds what "
                "that needs, as far as it has room; it follows from the counted numbers of experts and is stated "
                "as one number.");
}

std::string break_even_explanation(const StudyResults& results) {
  const auto depths = depths_of(results);
  if (depths.empty() || depths.back() == 0) return {};
  if (!is_compared(results)) {
    return depths.front() == 0
               ? "The results compare no depth with depth 0, so they cannot say."
               : "The study has no depth 0 to compare with, so it cannot say: with 0 among the depths of "
                 "its grid it could.";
  }
  return "A verification costs more than a pass without speculation at the same batch, policy and capacity: it fetches "
         "and touches more experts. Utility is the tokens a round yields over that cost as a multiple; above 1 "
         "speculation pays. Where there are hardware rows, time decides: tokens per second over those of the same "
         "system, scheme, batch and policy without a draft. The needed acceptance is the accepted length / depth at "
         "which the two are equal: at 0 or less it always pays, above 1 it never can. Beside it stands what the same "
         "design has. Cannot be told apart means that the interval (those that are available, added) holds 1.";
}

std::string independence_explanation(const StudyResults& results) {
  const ControlResult* worst = largest_error(results);
  if (!worst) return {};
  const Estimate share = relative_error(results, *worst);
  const PointResult& point = results.points.at(worst->point);
  return fmt::format(
      "Models often take what the drafts do to be independent of the routing that they are verified on. Here the same "
      "drafts are verified a second time, on the routing of another walk, which starts elsewhere and advances by their "
      "accepted lengths. Drafted and accepted lengths are equal round for round, so tokens per round are too; what "
      "differs is what the pairing of lengths with routing does, in each round and because requests spend more rounds "
      "where less is accepted. The largest error: \"{}\" would be {} by {} %, {} instead of {}, at {}.",
      in_words(worst->metric), share.value > 0 ? "too high" : "too low", number_text(std::abs(share.value), 3),
      number_text(worst->independent.value, 3), number_text(point.metrics.at(worst->metric).estimate.value, 3),
      design_text(point));
}

}  // namespace moecarlo
