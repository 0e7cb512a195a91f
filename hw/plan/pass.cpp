#include "hw/plan/pass.hpp"

#include <utility>

namespace moecarlo::hw {
namespace {

const std::vector<Pass>* inner(const Pass& pass) {
  if (const auto* then = std::get_if<Then>(&pass.what)) return &then->passes;
  if (const auto* times = std::get_if<Times>(&pass.what)) return &times->pass;
  if (const auto* beside = std::get_if<Beside>(&pass.what)) return &beside->passes;
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

Task ExpertsWork::at(double hits, double misses) const {
  if (hits + misses == 0) return {};
  Task task = pass;
  for (const auto& [times, more] : {std::pair{hits, &hit}, std::pair{misses, &miss}}) {
    task.own.add(times, more->own);
    task.here.add(times, more->here);
    task.there.add(times, more->there);
  }
  if (hit_row.size() + miss_row.size() > 0) {
    task.own.add(rows * hits / (hits + misses), hit_row);
    task.own.add(rows * misses / (hits + misses), miss_row);
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
