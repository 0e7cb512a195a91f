#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "hw/placement/items.hpp"
#include "hw/plan/plan.hpp"

namespace moecarlo::hw {

constexpr const char* kDenseWeights = "dense weights";  ///< the item that every placement begins with

struct BitSlices;  // bit_slices.hpp

/// A pass through the target's layers that reads so many bytes of each expert that hits or misses, in so many bits.
struct TargetPass {
  LayerPass layers;
  ExpertBytes hit, miss;
  double expert_bits = 8;
};

/// Which experts a draft step touches.
enum class DraftRouting {
  none,       ///< none: another model drafts
  residents,  ///< routing restricted to the residents
  all,        ///< as an autoregressive step: hits and misses
};

/// A way of decoding: what it keeps near and what a round of it moves and computes. One file each, schemes/<name>.cpp,
/// its constants in presets/schemes/<name>.toml.
///
/// Every scheme also decodes without drafting, at depth 0, with its own data still near: the machine switches to that
/// mode where speculation does not pay. Its cache then holds whole experts.
struct Scheme {
  std::string name;
  bool needs_cache = false;  ///< makes no sense on a system with a single tier
  bool drafts = false;       ///< speculates at a depth above 0
  bool uses_bits = false;    ///< the number of kept bits changes its drafts; otherwise it runs at 8
  DraftRouting draft_routing = DraftRouting::none;
  std::string asks_by;               ///< the demand rule that it is about, by name; empty: any
  bool slices = false;               ///< its cache holds two slices of each expert
  Preset preset;                     ///< its constants; none for some
  std::vector<std::string> codings;  ///< of the weights it reads, in the order of its name: coding.hpp
  /// The model as this scheme stores it; null: as it is. Its items and plan take the model as it is.
  std::function<Model(const Model& model)> stored;
  /// What it keeps beside the target's dense weights and KV cache, the cached experts among it.
  std::function<std::vector<Item>(const Model& model, const Serving& serving)> items;
  /// The target's part of a round, and what prompts go through.
  std::function<TargetPass(const Model& model, const Serving& serving, const Placement& placement)> verification;
  std::function<Plan(const System& system, const Model& model, const Serving& serving, const Placement& placement)>
      plan;
};

/// Autoregressive decoding with a cache of whole experts.
Scheme autoregressive();

/// Elastic-SD (ELMoE-3D, arXiv 2604.14626): the upper bits of the resident experts are the draft model.
Scheme elastic();

/// EAGLE-SD: a draft head of one layer. The verification uses the cache as autoregressive decoding does.
Scheme eagle(const Preset& constants);

/// SLM-SD: a small dense model drafts. What of it does not fit near is read from home.
Scheme slm(const Preset& constants);

/// A block drafter: a dense model of the target's width that gives all draft tokens of a round in one pass.
Scheme block(const Preset& constants);

/// Multi-token prediction (DeepSeek-V3, arXiv 2412.19437, section 2.2): one more layer of the target's kind with
/// experts of its own, which lie near, behind a projection of state and token side by side; it drafts token by token,
/// with the target's LM head or part of its rows.
Scheme mtp(const Preset& constants);

/// Quant-SD: a separate 4-bit copy of the target drafts with unrestricted routing; what of the copy is not resident
/// comes from home, and the verification reads every expert from home. MXFP4 experts need no copy: only the dense
/// weights are copied, and the cache of whole experts serves draft and verification.
Scheme quant();

/// SPEQ (arXiv 2510.18525): the upper bits of the weights themselves draft, with unrestricted routing; no copy.
Scheme speq();

/// SPEQ as it is published: FP16 weights, whatever the model has, of which a remap makes the first 4 bits a float of
/// their own; they draft, the other 12 complete them.
Scheme speq_float(const Preset& constants);

/// A draft head whose verifications ask for experts as one system does, by a demand rule of the study: SMoLPU's TaER
/// (`threshold`) and EdgeXpert's coalescing (`salient`). Other rules of the study make no rows of it.
Scheme taer(const Preset& constants);
Scheme coalesce(const Preset& constants);

/// The same scheme with a cache that holds two slices of each expert, of half of its bits each, as objects of their own
/// (SliceMoE, arXiv 2512.12990). What is counted then are slices, and Serving::asked says which. A slot has room for
/// either, so that it is as large as an upper slice, with the scales. Throws usage where the scheme drafts with experts
/// themselves or its weights are coded; its items do where experts are no 8-bit ones.
Scheme on_slices(const Scheme& scheme);

/// All schemes, and the one with this name, codings behind it ("elastic", "ar+dfloat11"; coding.hpp). Throws usage,
/// listing the names. `counted`: what was counted of real weights, which some codings need; may be null.
std::vector<Scheme> schemes();
Scheme find_scheme(const std::string& name, const BitSlices* counted = nullptr);

/// The same scheme made of other constants. Throws usage where they are not its own or out of range.
Scheme with_constants(const Scheme& scheme, const Preset& constants);

/// Drafts of upper bits need all dense weights near, and a single tier before home.
bool applies(const Scheme& scheme, const System& system);

// What schemes share.

/// The same scheme on what `model_of` makes of the model that it is given, and served as `serving_of` says where there
/// is one. Its name, its constants and how it stores the model are left as they are.
Scheme on_changed(const Scheme& scheme, const std::function<Model(Model)>& model_of,
                  const std::function<Serving(Serving)>& serving_of = {});

/// The cached experts, whole or so many bytes of each.
Item cached_experts(const Model& model, double slot_bytes);

Plan plan_autoregressive(const System& system, const Model& model, const Serving& serving, const Placement& placement);

Pass target_pass(const System& system, const Model& model, const Serving& serving, const TargetPass& pass);

/// A verification of whole experts against a cache of these.
TargetPass whole_verification(const Model& model, const Serving& serving, const Placement& placement);

/// One draft step of a drafter of its own: its matrices, and the bytes that it reads near and at home, or on the device
/// that drafts.
struct OwnDrafter {
  std::vector<Matrix> matrices;
  double bits = 8, layers = 1, hidden = 0;
  double bytes = 0, near_share = 1;
  double tokens_at_once = 1;  ///< of each request
};
Pass own_draft(const System& system, const Serving& serving, const OwnDrafter& drafter);

/// The upper bits of the experts themselves draft: of all that a token takes, or of what is near alone.
Scheme upper_bits(bool drafts_misses);

/// The same of a drafter of its own, which may run on a second device: all its drafts of a round, then, or in part
/// beside, a verification.
Pass draft_apart(const System& system, const Model& model, const Serving& serving, Pass drafts, Pass verify);

/// Draft steps, then a verification.
Pass draft_and_verify(const Serving& serving, Pass draft, Pass verify);

/// Upper bits of an expert's weights that a scheme keeps near, at `bits`; all of them where it cannot be sliced.
double kept_expert_bits(const Model& model, std::uint32_t bits);

/// The slice of one expert of so many bits with the scales. The remaining bits need no scales of their own.
double slice_bytes(const Model& model, std::uint32_t bits);

/// Of an expert's bytes those of one of its two slices, of half its bits each, in the mean of slices of which this
/// share are upper ones; these have the scales.
double slice_share(const Model& model, double upper);

/// The dense weights in so many bits.
double dense_slice_bytes(const Model& model, std::uint32_t bits);

/// The tokens that a draft step works on.
double draft_tokens(const Serving& serving);

}  // namespace moecarlo::hw
