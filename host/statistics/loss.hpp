#pragma once

#include <optional>
#include <string>

namespace moecarlo {

struct LossCurve;
struct PointResult;
struct StudyResults;

/// What a demand rule that drops experts makes a figure worth.
struct Loss {
  /// Of the gate mass of all that the router chose that of what is left out, where gates are known: experts, channels
  /// of them, and lower slices, of which the mass is that of whatever is computed without.
  std::optional<double> dropped_mass{};
  bool upper_bound = false;  ///< acceptance was measured without the rule: under it less may be accepted
  /// Perplexity over that of the whole model, where a LossCurve of the study says so for this rule and dropped mass.
  std::optional<double> perplexity_ratio{};

  friend bool operator==(const Loss&, const Loss&) = default;
};

/// Of a design point what its demand rule makes it worth; none where it drops nothing.
std::optional<Loss> loss_of(const PointResult& point);

/// The same with what a model was measured to lose, where the curve says so.
std::optional<Loss> placed_on(const std::optional<LossCurve>& curve, const std::string& demand,
                              std::optional<Loss> loss);

/// Whether a design may be called the best of a study: one that drops something only where all do, since dropping more
/// is always faster, and what it costs is not counted here.
bool may_win(const StudyResults& results, const std::string& demand);

/// Whether a demand drops lower slices of experts, and no expert.
bool cuts_bits(const std::string& demand);

/// "lossy: drops 13.3 % of the gate mass", of a design with this demand; empty where nothing is dropped.
std::string loss_text(const std::optional<Loss>& loss, const std::string& demand);

}  // namespace moecarlo
