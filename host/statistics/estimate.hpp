#pragma once

#include <cmath>
#include <cstdint>
#include <optional>

namespace moecarlo {

/// What is known of an error. The order is that of a combination, which knows no more than its parts.
enum class Knowledge : std::uint8_t {
  exact,      ///< there is none: counted in full, or true by definition
  estimated,  ///< from groups that differ
  unknown,    ///< sampled, and too little to say
};

/// How far off a number may be for one reason: not at all, within a 95 % half-width, or nobody knows. Only what is
/// exact() is exact: a half-width that comes out as 0 says that samples happened to agree, which is no knowledge.
class Margin {
 public:
  Margin() = default;
  /// As a summary states it: 0 is exact, none is unknown.
  Margin(double stated) : knowledge_(stated == 0 ? Knowledge::exact : Knowledge::estimated), half_width_(stated) {}
  Margin(std::optional<double> stated) : Margin(stated ? Margin(*stated) : Margin()) {}
  Margin(std::nullopt_t) {}

  static Margin exact() { return {0.0}; }
  /// Unknown unless the half-width is finite and above 0.
  static Margin estimated(double half_width) {
    return std::isfinite(half_width) && half_width > 0 ? Margin(half_width) : unknown();
  }
  /// `factor`: of the trajectories that were simulated, about how many would do; 0 where nobody knows.
  static Margin unknown(double factor = 0) {
    Margin margin;
    margin.factor_ = factor;
    return margin;
  }

  Knowledge knowledge() const { return knowledge_; }
  bool is_exact() const { return knowledge_ == Knowledge::exact; }
  double factor() const { return factor_; }

  // As summaries state it.
  bool has_value() const { return knowledge_ != Knowledge::unknown; }
  explicit operator bool() const { return has_value(); }
  double operator*() const { return half_width_; }
  double value() const { return stated().value(); }  ///< throws std::bad_optional_access where it is unknown
  double value_or(double other) const { return has_value() ? half_width_ : other; }
  std::optional<double> stated() const { return has_value() ? std::optional(half_width_) : std::nullopt; }
  operator std::optional<double>() const { return stated(); }

  /// Of `factor` times the number; factor above 0.
  Margin operator*(double factor) const {
    Margin scaled = *this;
    scaled.half_width_ *= factor;
    return scaled;
  }

  friend bool operator==(const Margin& a, const Margin& b) { return a.stated() == b.stated(); }

 private:
  Knowledge knowledge_ = Knowledge::unknown;
  double half_width_ = 0;
  double factor_ = 0;
};

/// A reported number with what is known of its two errors: simulation noise, and the trace being a sample of traffic.
struct Estimate {
  double value = 0;
  Margin mc_half_width;
  Margin trace_half_width;
};

}  // namespace moecarlo
