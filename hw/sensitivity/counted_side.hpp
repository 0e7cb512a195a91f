#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hw/projection/evaluate.hpp"

namespace moecarlo::hw {

/// A way of decoding with what was counted of it.
struct CountedDecoding {
  System system;
  Scheme scheme;
  std::uint32_t bits = 8;
  Workload workload;
  /// At most one of a smaller and one of a larger capacity; and of its own, where that is counted in more detail.
  std::vector<Workload> neighbours;
};

/// Logarithms of tokens/s and of joules per token, or differences and slopes of them.
struct LogRates {
  double speed = 0, energy = 0;
};
inline LogRates operator+(LogRates a, LogRates b) {
  return {a.speed + b.speed, a.energy + b.energy};
}
inline LogRates operator-(LogRates a, LogRates b) {
  return {a.speed - b.speed, a.energy - b.energy};
}
inline LogRates operator*(double factor, LogRates a) {
  return {factor * a.speed, factor * a.energy};
}

/// What a setting makes of counts that are held, and the cache that it has room for.
struct Outcome {
  LogRates rates;
  Capacity capacity;
  double room = 0;  ///< experts a layer, the last one in part
};

/// How a larger cache changes the counts.
struct CacheSlope {
  LogRates per_expert;               ///< a layer
  double smallest = 0, largest = 0;  ///< capacities that it was taken between, experts a layer
};

/// One side of a speed-up, to be looked at with other constants than its own.
class CountedSide {
 public:
  /// Both must outlive it. Throws as project() does.
  CountedSide(const CountedDecoding& counted, const Model& model, const Context& context);

  const System& system() const { return counted_.system; }
  const Scheme& scheme() const { return counted_.scheme; }
  const Model& model() const { return model_; }
  const Outcome& outcome() const { return outcome_; }

  /// The side's own counts on another system, with another scheme, of another model. Throws usage where that is not
  /// possible, or where other routing than was counted would follow.
  Outcome at(const System& system, const Scheme& scheme, const Model& model) const;

  /// Between the smallest and the largest capacity that was counted; none where only its own was.
  const std::optional<CacheSlope>& of_cache();

 private:
  void check_routing(const Model& changed) const;

  const CountedDecoding& counted_;
  const Model& model_;
  Context context_;
  Outcome outcome_;
  std::optional<std::optional<CacheSlope>> of_cache_;
};

}  // namespace moecarlo::hw
