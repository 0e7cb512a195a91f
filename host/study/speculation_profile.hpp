#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace moecarlo {

/// Acceptance per draft position, as measured.
struct SpeculationProfile {
  std::vector<double> conditional;  ///< [depth] P(draft position accepted | all before it were)
  std::vector<std::string> notes;   ///< sentences for the report: what in the file is weak or was left aside
};

/// Reads the `speculation_profile.json` of NVIDIA's Model-Optimizer, schema 1.x: one JSON object with
///
///   `acceptance_length_histogram`  {"length": verifications}; a length counts the bonus token, 1 .. K + 1
///   `conditional_accept_rates`     [K] P(draft token i accepted | all before it were)
///   `marginal_accept_rates`        [K] P(draft tokens up to i accepted) = P(length >= i + 2), never rising
///
/// K is `num_speculative_tokens` where given. Any one will do. The histogram is preferred, for it holds counts; the
/// others must agree with it and with each other to the three digits that they are printed to, `mean_accept_length` to
/// 0.01. Where the histogram has no round of a length, 0 may stand in a list in place of the rate, as early writers
/// did. Positions that no round reached have rate 0. `accept_length_model` "measured_per_k" gives a note: each rate is
/// then from a run of its own.
///
/// Throws an `Error` of kind input where the file cannot be read, is no JSON object, holds an unknown key, was not
/// measured (`measured` false, `method` "none"), has no rates or contradictory ones, or a value is out of range.
SpeculationProfile read_speculation_profile(const std::filesystem::path& path);

}  // namespace moecarlo
