#include "tests/oracle/partial_sums.hpp"

#include <algorithm>
#include <map>

namespace moecarlo::oracle {
namespace {

/// The experts of a token that have not been loaded, those of `order` up to (and with) place `done` left out.
std::set<int> left_of(const std::set<int>& uses, const std::vector<int>& order, int done) {
  std::set<int> left = uses;
  for (int i = 0; i <= done; ++i) left.erase(order[i]);
  return left;
}

}  // namespace

std::vector<int> load_order(const Uses& tokens) {
  std::set<int> open_experts;
  for (const std::set<int>& uses : tokens) open_experts.insert(uses.begin(), uses.end());
  std::vector<int> order;
  while (!open_experts.empty()) {
    const int done = static_cast<int>(order.size()) - 1;
    std::map<int, int> completes;
    for (const int expert : open_experts) completes[expert] = 0;
    for (const std::set<int>& uses : tokens) {
      const std::set<int> left = left_of(uses, order, done);
      const bool is_open = left.size() < uses.size();
      if (is_open && left.size() == 1) ++completes[*left.begin()];
    }
    const auto best = std::max_element(completes.begin(), completes.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    order.push_back(best->first);
    open_experts.erase(best->first);
  }
  return order;
}

int high_water(const Uses& tokens, const std::vector<int>& order) {
  int most = 0;
  for (int step = 0; step < static_cast<int>(order.size()); ++step) {
    int here = 0;
    for (const std::set<int>& uses : tokens) {
      const bool begun = left_of(uses, order, step).size() < uses.size();
      const bool over = left_of(uses, order, step - 1).empty();
      here += begun && !over ? 1 : 0;
    }
    most = std::max(most, here);
  }
  return most;
}

int spills(const Uses& tokens, const std::vector<int>& order, int slots, bool forced) {
  constexpr int never = 1 << 20;
  std::vector<int> inside;
  int gone = 0;
  for (int step = 0; step < static_cast<int>(order.size()); ++step) {
    for (int token = 0; token < static_cast<int>(tokens.size()); ++token) {
      if (tokens[token].count(order[step]) == 0) continue;
      // Whoever stands behind this token at the same expert is used next by that one.
      const auto next_use = [&](int other) {
        for (int later = other > token ? step : step + 1; later < static_cast<int>(order.size()); ++later) {
          if (tokens[other].count(order[later]) > 0) return later;
        }
        return never;
      };
      const bool complete = next_use(token) == never;
      const bool held = std::count(inside.begin(), inside.end(), token) > 0;
      if (!held && (!complete || forced) && static_cast<int>(inside.size()) == slots) {
        std::sort(inside.begin(), inside.end());
        std::vector<int> candidates = inside;
        if (!forced) candidates.insert(candidates.begin(), token);
        const int out = *std::max_element(candidates.begin(), candidates.end(),
                                          [&](int a, int b) { return next_use(a) < next_use(b); });
        ++gone;
        if (out == token) continue;
        std::erase(inside, out);
        inside.push_back(token);
      } else if (!held && !complete) {
        inside.push_back(token);
      }
      if (complete) std::erase(inside, token);
    }
  }
  return gone;
}

}  // namespace moecarlo::oracle
