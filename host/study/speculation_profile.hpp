#pragma once

#include <filesystem>
#include <vector>

namespace moecarlo {

/// Reads acceptance per draft position from a JSON file, such as `speculation_profile.json`, and returns conditional
/// rates: entry i is the probability that draft position i is accepted, given that all before it were.
///
/// The format follows no published schema: nvidia-modelopt 0.47.0 (the package on PyPI) neither writes nor reads a file
/// of this name, so nothing is guessed. The file is one object that says by its key which rates it holds, as one list
/// with a number in 0 .. 1 for each draft position, the first draft token first:
///
///   conditional                      marginal (all up to this position accepted; never rising)
///   `conditional_acceptance_rates`   `marginal_acceptance_rates`, `joint_acceptance_rates`
///   `conditional_acceptance_rate`    `marginal_acceptance_rate`, `joint_acceptance_rate`
///
/// Upper and lower case are the same; other keys are ignored. Conditional rates of marginal ones are m_i / m_(i-1), and
/// 0 after a marginal rate of 0, where no round gets.
///
/// Throws an `Error` of kind input where the file cannot be read, is no JSON object, has none of these keys (a bare
/// `acceptance_rates` does not say which kind it is) or more than one, or a list is empty, longer than 255, out of 0 ..
/// 1 or, if marginal, rising.
std::vector<double> read_speculation_profile(const std::filesystem::path& path);

}  // namespace moecarlo
