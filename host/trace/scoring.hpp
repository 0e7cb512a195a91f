#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace moecarlo {

/// What turns a router logit into a score.
enum class Scoring {
  softmax,       ///< over all experts of the layer (Mixtral, Qwen-MoE, DeepSeek-V2)
  sigmoid,       ///< each expert alone (DeepSeek-V3, arXiv 2412.19437, section 2.1.2)
  topk_softmax,  ///< over the chosen logits only (gpt-oss)
};

const char* to_string(Scoring scoring);

/// The rule by which a layer chooses experts. Shared experts take no part in it: they always run, with weight 1.
///
/// Grouped selection (DeepSeek): expert e belongs to group e / (experts / num_groups); only the experts of the
/// `top_k_groups` best groups can be chosen. A group's score is the largest selection score in it (DeepSeek-V2, arXiv
/// 2405.04434, section 2.2.2) or, where a selection bias is in use, the sum of its two largest (DeepSeek-V3).
struct ScoringRule {
  Scoring scoring = Scoring::softmax;
  bool renormalize = false;  ///< the chosen weights are rescaled to sum 1
  std::uint32_t experts = 0, top_k = 0;
  std::uint32_t num_groups = 1, top_k_groups = 1;
  std::uint32_t zero_experts = 0;  ///< zero-computation experts beside `experts`: ids from there on, or -1
};

/// The score of a logit under a scoring that looks at each expert alone; for the others the logit itself.
float own_score(Scoring scoring, float logit);

/// Chooses `top_k` distinct experts for one (token, layer): descending selection score, the lower index first on ties.
///
/// `logits` [experts], finite. `bias` [experts] is added to the scores for selection only; empty where there is none,
/// and then the logits themselves are compared, whose order is that of every scoring. `ids` [top_k] receives the
/// result.
void select_experts(const ScoringRule& rule, std::span<const float> logits, std::span<const float> bias,
                    std::span<std::uint16_t> ids);

/// Orders all experts of one (token, layer) by descending selection score, so that the first `top_k` are those of
/// select_experts in its order. Experts of groups that lost follow all others, in the order of their scores too.
/// `order` [experts] receives the result.
void order_experts(const ScoringRule& rule, std::span<const float> logits, std::span<const float> bias,
                   std::span<std::uint16_t> order);

/// Gate weights of the chosen experts, in the order of `ids`: the scores without any selection bias.
/// `logits` [experts], `ids` and `weights` [top_k].
void gate_weights(const ScoringRule& rule, std::span<const float> logits, std::span<const std::uint16_t> ids,
                  std::span<float> weights);

}  // namespace moecarlo
