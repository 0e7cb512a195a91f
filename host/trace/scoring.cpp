#include "host/trace/scoring.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "host/trace/limits.hpp"
#include "host/trace/top_k.hpp"

namespace moecarlo {
namespace {

constexpr float lowest = -std::numeric_limits<float>::infinity();

float sigmoid(float logit) {
  return 1.0F / (1.0F + std::exp(-logit));
}

float maximum(std::span<const float> scores) {
  float best = lowest;
  for (const float score : scores) best = std::max(best, score);
  return best;
}

// exp(logit - largest) of each expert and their sum: softmax without overflow.
float exponentials(std::span<const float> logits, std::span<float> out) {
  const float largest = maximum(logits);
  float sum = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) sum += out[i] = std::exp(logits[i] - largest);
  return sum;
}

// With a bias the scores themselves matter, not only their order.
void selection_scores(const ScoringRule& rule, std::span<const float> logits, std::span<const float> bias,
                      std::span<float> scores) {
  std::copy(logits.begin(), logits.end(), scores.begin());
  if (bias.empty()) return;
  if (rule.scoring == Scoring::sigmoid) {
    for (float& score : scores) score = own_score(rule.scoring, score);
  } else if (rule.scoring == Scoring::softmax) {
    const float sum = exponentials(logits, scores);
    for (float& score : scores) score /= sum;
  }
  for (std::size_t i = 0; i < scores.size(); ++i) scores[i] += bias[i];
}

// Orders groups as the sum of their two largest scores does; the halves keep the sum finite.
float mean_of_two_largest(std::span<const float> scores) {
  float first = lowest;
  float second = lowest;
  for (const float score : scores) {
    second = std::max(second, std::min(first, score));
    first = std::max(first, score);
  }
  return scores.size() == 1 ? first : 0.5F * first + 0.5F * second;
}

void drop_losing_groups(const ScoringRule& rule, bool biased, std::span<float> scores) {
  const std::size_t size = rule.experts / rule.num_groups;
  std::array<float, largest_experts> group_scores;
  for (std::size_t g = 0; g < rule.num_groups; ++g) {
    const auto members = scores.subspan(g * size, size);
    group_scores[g] = biased ? mean_of_two_largest(members) : maximum(members);
  }
  std::array<std::uint16_t, largest_experts> kept;
  const std::span<std::uint16_t> winners{kept.data(), rule.top_k_groups};
  top_k({group_scores.data(), rule.num_groups}, winners);
  std::array<bool, largest_experts> wins{};
  for (const std::uint16_t g : winners) wins[g] = true;
  for (std::size_t g = 0; g < rule.num_groups; ++g) {
    if (!wins[g]) std::fill_n(scores.begin() + static_cast<std::ptrdiff_t>(g * size), size, lowest);
  }
}

}  // namespace

const char* to_string(Scoring scoring) {
  switch (scoring) {
    case Scoring::softmax:
      return "softmax";
    case Scoring::sigmoid:
      return "sigmoid";
    default:
      return "topk_softmax";
  }
}

float own_score(Scoring scoring, float logit) {
  return scoring == Scoring::sigmoid ? sigmoid(logit) : logit;
}

void select_experts(const ScoringRule& rule, std::span<const float> logits, std::span<const float> bias,
                    std::span<std::uint16_t> ids) {
  std::array<float, largest_experts> storage;
  const std::span<float> scores{storage.data(), logits.size()};
  selection_scores(rule, logits, bias, scores);
  if (rule.top_k_groups < rule.num_groups) drop_losing_groups(rule, !bias.empty(), scores);
  top_k(scores, ids);
}

void order_experts(const ScoringRule& rule, std::span<const float> logits, std::span<const float> bias,
                   std::span<std::uint16_t> order) {
  std::array<float, largest_experts> scores;
  selection_scores(rule, logits, bias, {scores.data(), logits.size()});
  std::array<float, largest_experts> open = scores;
  if (rule.top_k_groups < rule.num_groups) drop_losing_groups(rule, !bias.empty(), {open.data(), logits.size()});
  std::iota(order.begin(), order.end(), std::uint16_t{0});
  std::sort(order.begin(), order.end(), [&](std::uint16_t a, std::uint16_t b) {
    const bool lost_a = open[a] == lowest;
    const bool lost_b = open[b] == lowest;
    if (lost_a != lost_b) return lost_b;
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
  });
}

void gate_weights(const ScoringRule& rule, std::span<const float> logits, std::span<const std::uint16_t> ids,
                  std::span<float> weights) {
  if (rule.scoring == Scoring::sigmoid) {
    for (std::size_t i = 0; i < ids.size(); ++i) weights[i] = sigmoid(logits[ids[i]]);
  } else {
    std::array<float, largest_experts> scores;
    float sum = 0;
    if (rule.scoring == Scoring::softmax) {
      sum = exponentials(logits, scores);
      for (std::size_t i = 0; i < ids.size(); ++i) weights[i] = scores[ids[i]] / sum;
    } else {
      for (std::size_t i = 0; i < ids.size(); ++i) weights[i] = logits[ids[i]];
      sum = exponentials(weights, scores);
      for (std::size_t i = 0; i < ids.size(); ++i) weights[i] = scores[i] / sum;
    }
  }
  if (!rule.renormalize) return;
  float total = 0;
  for (const float weight : weights) total += weight;
  if (total > 0) {  // every chosen sigmoid can underflow to 0; there is nothing to rescale then
    for (float& weight : weights) weight /= total;
  }
}

}  // namespace moecarlo
