#include "hw/plan/totals.hpp"

#include <algorithm>

namespace moecarlo::hw {
namespace {

void add(Done& to, double factor, const Done& what) {
  to.seconds += factor * what.seconds;
  to.work += factor * what.work;
}

}  // namespace

PartTotals& PartTotals::operator+=(const PartTotals& other) {
  other.for_each([&](RoundPart label, const Done& done) { add((*this)[label], 1, done); });
  return *this;
}

namespace {

class Summing {
 public:
  Summing(const System& system, const GroupWeights& weights, const AddExperts& add_experts)
      : system_(system), weights_(weights), add_experts_(add_experts) {
    for (std::size_t g = 0; g < weights.pooled; ++g) pooled_rounds_ += weights.rounds[g];
  }

  void add_pass(const Pass& pass, double times, PassTotals& totals) const {
    std::visit([&](const auto& what) { add_one(what, times, totals); }, pass.what);
  }

 private:
  void add_one(const Then& then, double times, PassTotals& totals) const {
    for (const Pass& pass : then.passes) add_pass(pass, times, totals);
  }

  void add_one(const Times& repeated, double times, PassTotals& totals) const {
    add_pass(repeated.pass.front(), repeated.count * times, totals);
  }

  void add_one(const Part& part, double times, PassTotals& totals) const {
    Done done = run(system_, part.task);
    done.seconds += part.seconds;
    for (std::size_t g = 0; g < totals.groups.size(); ++g) {
      add(totals.groups[g], weights_.rounds[g] * times * part.count, done);
    }
    add(totals.parts[part.label], pooled_rounds_ * times * part.count, done);
  }

  void add_one(const RoutedPart& part, double times, PassTotals& totals) const { add_experts_(part, times, totals); }

  /// Parts keep their shares of the time that both take together.
  void add_one(const Beside& beside, double times, PassTotals& totals) const {
    PassTotals a(totals.groups.size()), b(totals.groups.size());
    add_pass(beside.passes[0], times, a);
    add_pass(beside.passes[1], times, b);
    totals.lower_bound = true;
    double apart = 0, together = 0;
    for (std::size_t g = 0; g < totals.groups.size(); ++g) {
      Work work = a.groups[g].work;
      work += b.groups[g].work;
      const double seconds = std::max({a.groups[g].seconds, b.groups[g].seconds, seconds_of(system_, work)});
      add(totals.groups[g], 1, {seconds, work});
      if (g >= weights_.pooled) continue;
      apart += a.groups[g].seconds + b.groups[g].seconds;
      together += seconds;
    }
    for (const PassTotals* side : {&a, &b}) {
      side->parts.for_each([&](RoundPart label, const Done& done) {
        add(totals.parts[label], 1, {apart > 0 ? done.seconds * together / apart : 0, done.work});
      });
    }
  }

  const System& system_;
  const GroupWeights& weights_;
  const AddExperts& add_experts_;
  double pooled_rounds_ = 0;
};

}  // namespace

PassTotals sum_pass(const System& system, const Pass& pass, const GroupWeights& weights,
                    const AddExperts& add_experts) {
  PassTotals totals(weights.rounds.size());
  Summing(system, weights, add_experts).add_pass(pass, 1, totals);
  return totals;
}

}  // namespace moecarlo::hw
