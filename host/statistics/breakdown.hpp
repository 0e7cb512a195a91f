#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace moecarlo {

/// What a round consists of: the pieces of its draft steps, then those of its verification (at depth 0 the
/// autoregressive step is the verification). "attention" includes router, shared experts and layers without experts,
/// "link" is what several devices exchange, "overhead" what no resource explains.
enum class RoundPart : std::uint8_t {
  draft_attention,
  draft_drafter,
  draft_experts,
  draft_link,
  draft_lm_head,
  draft_overhead,
  verify_attention,
  verify_drafter,  ///< never done; here so that both halves are alike
  verify_experts,
  verify_link,
  verify_lm_head,
  verify_overhead,
};
constexpr std::size_t kRoundParts = 12;

/// "draft.attention", "draft.drafter", ...
std::string_view name_of(RoundPart part);

/// Means of one round on a hardware row: figures by name, ascending. Of a part its seconds ("verify.experts"), and the
/// seconds that each resource alone would need for it, hidden or not ("verify.experts.hb"); bytes ("bytes.hb") and
/// joules by category ("energy.hb"), which add up to "joules"; operations of a part ("operations.verify.experts") and
/// bytes that it reads of all memories ("bytes_read.verify.experts"); "seconds", to which the parts add up, and
/// "tokens". "seconds_at_means" is what the round would take if every layer and pass hit and missed as in the mean: the
/// difference to "seconds" is how far the mean misleads.
class Breakdown {
 public:
  using Names = std::vector<std::string>;
  struct Figure {
    std::string name;
    double value = 0;
  };

  Breakdown() = default;
  /// In any order, each name once.
  explicit Breakdown(std::vector<Figure> figures);
  /// [names] values; names ascending.
  Breakdown(std::shared_ptr<const Names> names, std::vector<double> values)
      : names_(std::move(names)), values_(std::move(values)) {}

  std::optional<double> find(std::string_view name) const;
  /// The figure; throws std::out_of_range where it is not there.
  double at(std::string_view name) const;
  std::optional<double> seconds_of(RoundPart part) const { return find(name_of(part)); }
  bool empty() const { return values_.empty(); }
  std::size_t size() const { return values_.size(); }
  std::string_view name(std::size_t figure) const { return (*names_)[figure]; }
  double value(std::size_t figure) const { return values_[figure]; }

  /// Calls visit(name, value) for every figure, names ascending.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (std::size_t i = 0; i < values_.size(); ++i) visit(std::string_view((*names_)[i]), values_[i]);
  }

  friend bool operator==(const Breakdown& a, const Breakdown& b);

 private:
  std::shared_ptr<const Names> names_ = std::make_shared<Names>();
  std::vector<double> values_;
};

}  // namespace moecarlo
