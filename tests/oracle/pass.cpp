#include "tests/oracle/pass.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace moecarlo::oracle {

PassBuilder::PassBuilder(const RankedTrace& trace, const Study& study, int depth, Random& random)
    : trace_(trace), study_(study), depth_(depth), random_(random) {}

void PassBuilder::add(Pass& pass, int token, const Draft& draft) const {
  const int request = static_cast<int>(pass.drafts.size());
  const Trace& trace = trace_.trace;
  const int sequence = trace.sequence_of(token);
  const auto any_token = [&] { return trace.first(sequence) + below(random_, trace.lengths[sequence]); };
  pass.drafts.push_back(draft);
  std::vector<Column> path;
  for (int level = 0; level <= draft.drafted; ++level) {
    Column& column = path.emplace_back();
    column.request = request;
    column.number = column.level = level;
    column.accepted = level <= draft.accepted;
    column.drafts = level < draft.drafted;
    const bool resampled = study_.acceptance.rejected_routing == RejectedRouting::resample && !column.accepted;
    column.token = resampled ? any_token() : token + level;
    column.chosen = routing(column.token);
    if (knows_gates()) column.gate = trace_.mass[column.token];
    for (int layer = 0; knows_gates() && layer < trace.layers; ++layer) {
      auto& of = column.of.emplace_back();
      for (const int expert : column.chosen[layer]) of[expert] = column.token;
    }
  }
  const int nodes = depth_ * static_cast<int>(study_.draft.width);
  const int verified = study_.draft.verify_tokens == 0 ? nodes : static_cast<int>(study_.draft.verify_tokens);
  std::copy(path.begin(), path.end(), std::back_inserter(pass.columns));
  for (int node = depth_; node < nodes; ++node) {  // the siblings, level by level and again
    const int level = 1 + node % depth_;
    if (level > draft.drafted) continue;
    Column& column = pass.columns.emplace_back(path[level]);
    column.sibling = true;
    column.number = 1 + node;
    column.verified = node < verified;
    column.accepted = false;
    column.token = -1;
    take_sibling(column, any_token());
  }
}

void PassBuilder::finish(Pass& pass) const {
  std::stable_sort(pass.columns.begin(), pass.columns.end(),
                   [](const Column& a, const Column& b) { return a.number < b.number; });
}

std::vector<Experts> PassBuilder::routing(int token) const {
  return study_.mode == Mode::perturbed ? redrawn(token) : trace_.chosen[token];
}

/// top_k different experts one after the other, each with probability proportional to its weight among those left.
std::vector<Experts> PassBuilder::redrawn(int token) const {
  std::vector<Experts> chosen;
  for (int layer = 0; layer < trace_.trace.layers; ++layer) {
    std::vector<double> weights(trace_.trace.experts);
    for (int expert = 0; expert < trace_.trace.experts; ++expert) {
      const double logit = trace_.trace.logit[token][layer][expert];
      const double log_weight = trace_.trace.sigmoid ? -std::log(1 + std::exp(-logit)) : logit;
      weights[trace_.rank[layer][expert]] = std::exp(log_weight / study_.temperature);
    }
    Experts& experts = chosen.emplace_back();
    while (static_cast<int>(experts.size()) < trace_.trace.top_k) {
      const int expert = std::discrete_distribution<int>(weights.begin(), weights.end())(random_);
      experts.insert(expert);
      weights[expert] = 0;
    }
  }
  return chosen;
}

/// Of a column that is its path token: each expert stays with the study's probability; the others are taken from
/// another token, and bring their gates from there.
void PassBuilder::take_sibling(Column& column, int other) const {
  for (int layer = 0; layer < trace_.trace.layers; ++layer) {
    const Experts of_path = column.chosen[layer];
    Experts& experts = column.chosen[layer];
    experts.clear();
    std::map<int, int> gates, of;
    for (const int expert : of_path) {
      if (!happens(random_, *study_.draft.sibling_routing)) continue;
      experts.insert(expert);
      if (knows_gates()) gates[expert] = column.gate[layer].at(expert), of[expert] = column.of[layer].at(expert);
    }
    while (experts.size() < of_path.size()) {
      const Experts open = without(trace_.chosen[other][layer], experts);
      const int expert = *std::next(open.begin(), below(random_, static_cast<int>(open.size())));
      experts.insert(expert);
      if (knows_gates()) gates[expert] = trace_.mass[other][layer].at(expert), of[expert] = other;
    }
    if (knows_gates()) column.gate[layer] = gates, column.of[layer] = of;
  }
}

}  // namespace moecarlo::oracle
