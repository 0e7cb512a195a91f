#include "hw/plan/pass.hpp"

#include <utility>

namespace moecarlo::hw {
namespace {

/// The passes in a pass; null where it is a part. Of one that may be changed, so may they.
template <class AnyPass>
auto inner(AnyPass& pass) -> decltype(&std::get_if<Then>(&pass.what)->passes) {
  if (auto* then = std::get_if<Then>(&pass.what)) return &then->passes;
  if (auto* times = std::get_if<Times>(&pass.what)) return &times->pass;
  if (auto* beside = std::get_if<Beside>(&pass.what)) return &beside->passes;
  return nullptr;
}

template <class Leaf>
const Leaf* find_leaf(const Pass& pass, RoundPart label) {
  if (const auto* leaf = std::get_if<Leaf>(&pass.what)) return leaf->label == label ? leaf : nullptr;
  const std::vector<Pass>* const passes = inner(pass);
  if (passes == nullptr) return nullptr;
  for (const Pass& one : *passes) {
    if (const Leaf* const found = find_leaf<Leaf>(one, label)) return found;
  }
  return nullptr;
}

}  // namespace

Task ExpertsWork::mean_hit(const std::vector<double>& by_tier) const {
  if (by_tier.empty()) return hit;
  Task mean = by_tier.front() * hit;
  for (std::size_t t = 1; t < by_tier.size(); ++t) mean += by_tier[t] * middle[t - 1];
  return mean;
}

Task ExpertsWork::at(double hits, double misses, const std::vector<double>& by_tier) const {
  if (hits + misses == 0) return {};
  Task task = pass;
  const auto add = [&](double times, const Task& more) {
    task.own.add(times, more.own);
    task.here.add(times, more.here);
    task.there.add(times, more.there);
  };
  const double near = by_tier.empty() ? hits : by_tier.front() * hits;
  add(near, hit);
  add(misses, miss);
  for (std::size_t t = 1; t < by_tier.size(); ++t) add(by_tier[t] * hits, middle[t - 1]);
  if (hit_row.size() + miss_row.size() > 0) {
    task.own.add(rows * near / (hits + misses), hit_row);
    task.own.add(rows * misses / (hits + misses), miss_row);
    for (std::size_t t = 1; t < by_tier.size(); ++t)
      task.own.add(rows * by_tier[t] * hits / (hits + misses), middle_row[t - 1]);
  }
  return task;
}

Pass then(std::vector<Pass> passes) {
  return {Then{std::move(passes)}};
}

Pass times(double count, Pass pass) {
  Times times{count, {}};
  times.pass.push_back(std::move(pass));
  return {std::move(times)};
}

Pass beside(Pass a, Pass b) {
  Beside beside;
  beside.passes.push_back(std::move(a));
  beside.passes.push_back(std::move(b));
  return {std::move(beside)};
}

Pass layers_of(Pass pass, double from, double to) {
  if (auto* part = std::get_if<Part>(&pass.what)) {
    part->count *= to - from;
  } else if (auto* routed = std::get_if<RoutedPart>(&pass.what)) {
    const double size = routed->to - routed->from;
    routed->to = routed->from + to * size;
    routed->from += from * size;
  } else {
    for (Pass& one : *inner(pass)) one = layers_of(std::move(one), from, to);
  }
  return pass;
}

const Part* find_part(const Pass& pass, RoundPart label) {
  return find_leaf<Part>(pass, label);
}

const RoutedPart* find_routed(const Pass& pass, RoundPart label) {
  return find_leaf<RoutedPart>(pass, label);
}

const Pass* find_repeated(const Pass& pass) {
  if (const auto* times = std::get_if<Times>(&pass.what)) return &times->pass.front();
  const std::vector<Pass>* const passes = inner(pass);
  if (passes == nullptr) return nullptr;
  for (const Pass& one : *passes) {
    if (const Pass* const found = find_repeated(one)) return found;
  }
  return nullptr;
}

}  // namespace moecarlo::hw
