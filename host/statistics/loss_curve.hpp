#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace moecarlo {

/// What a model lost under a demand rule, measured with the rule in its forward pass. Errors are standard errors over
/// texts.
struct MeasuredLoss {
  std::string demand;  ///< the rule, as a design point names it
  double dropped_mass = 0;
  double bits_per_token = 0, bits_per_token_error = 0;
  double perplexity = 0;
  double perplexity_ratio = 1, perplexity_ratio_low = 1, perplexity_ratio_high = 1;  ///< over `all`; 95 % interval
  double acceptance = 0, acceptance_error = 0;  ///< of a draft token, under the rule
  double accepted_length = 0, accepted_length_error = 0;

  /// The names of its numbers in files.
  static constexpr std::pair<const char*, double MeasuredLoss::*> kNumbers[] = {
      {"dropped_mass", &MeasuredLoss::dropped_mass},
      {"bits_per_token", &MeasuredLoss::bits_per_token},
      {"bits_per_token_error", &MeasuredLoss::bits_per_token_error},
      {"perplexity", &MeasuredLoss::perplexity},
      {"perplexity_ratio", &MeasuredLoss::perplexity_ratio},
      {"perplexity_ratio_low", &MeasuredLoss::perplexity_ratio_low},
      {"perplexity_ratio_high", &MeasuredLoss::perplexity_ratio_high},
      {"acceptance", &MeasuredLoss::acceptance},
      {"acceptance_error", &MeasuredLoss::acceptance_error},
      {"accepted_length", &MeasuredLoss::accepted_length},
      {"accepted_length_error", &MeasuredLoss::accepted_length_error}};
};

/// The losses of one model by rule and parameter: scripts/capture/measure_loss.py.
struct LossCurve {
  std::string path, model;
  std::uint32_t texts = 0, tokens = 0;  ///< tokens of all texts that were judged
  std::uint32_t depth = 0, batch = 1;   ///< of the passes in which rules looked at them
  std::vector<MeasuredLoss> rules;      ///< `all` among them

  /// What a design would lose there: of its rule, numbers apart, what the two neighbours of its dropped gate mass lost,
  /// between them by that mass. None where the rule was not measured, or not as far.
  std::optional<MeasuredLoss> at(const std::string& demand, double dropped_mass) const;
};

/// A demand without its numbers and their keys: "threshold(token)" of "threshold(0.05, token)", "half" of
/// "half(unimportant 0.5)". What does without channels is another family: "threshold(channels)" of "threshold(0.05,
/// channels 0.1)".
std::string rule_family(const std::string& demand);

}  // namespace moecarlo
