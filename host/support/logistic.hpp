#pragma once

#include <span>

namespace moecarlo {

/// A fitted P(x) = 1 / (1 + exp(-(b0 + b1 x))).
struct LogisticFit {
  double b0 = 0, b1 = 0;
  double b0_error = 0, b1_error = 0;  ///< standard errors, `dispersion` included; NaN where only two points have weight
  double deviance = 0;                ///< 2 sum w (p log(p / P) + (1 - p) log((1 - p) / (1 - P)))
  double null_deviance = 0;           ///< the same with the weighted mean of p in place of P
  double dispersion = 0;              ///< Pearson's chi-square over (points of positive weight - 2); NaN as above
  int iterations = 0;                 ///< steps taken
  bool converged = false;             ///< a last step changed neither coefficient by 1e-12 of itself
};

/// Fits fractional responses `p` (0 .. 1) at `x` (finite) with `weight` (finite, >= 0) by maximum quasi-binomial
/// likelihood: iteratively reweighted least squares with halved steps where a step would raise the deviance. There is
/// no ridge; whether a finite maximum exists is decided beforehand, exactly.
///
/// Throws an `Error` of kind input where the spans differ in size, a value is out of its range, all x of positive
/// weight are the same, or the data are separable: one threshold on x parts the responses above 0 from those below 1,
/// so that the likelihood grows for ever. Source: McCullagh and Nelder, Generalized Linear Models, 2nd edition, 1989,
/// sections 2.5 and 9.2; Albert and Anderson, Biometrika 71(1), 1984, on when the maximum exists.
LogisticFit fit_logistic(std::span<const double> x, std::span<const double> p, std::span<const double> weight);

}  // namespace moecarlo
