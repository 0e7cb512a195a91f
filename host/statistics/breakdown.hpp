#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace moecarlo {

/// What a round consists of: the pieces of its draft steps, then those of its verification (at depth 0 the
/// autoregressive step is the verification). "attention" includes router, shared experts and layers without experts.
enum class RoundPart : std::uint8_t {
  draft_attention,
  draft_drafter,
  draft_experts,
  draft_lm_head,
  verify_attention,
  verify_drafter,  ///< never done; here so that both halves are alike
  verify_experts,
  verify_lm_head,
};
constexpr std::size_t kRoundParts = 8;

/// What is known of a part, in seconds: how long it lasts, and how long each resource alone would need, hidden or not.
/// A part lasts as long as its slowest resource in each single layer and pass.
enum class PartTime : std::uint8_t { lasts, compute, ext, hb, link, near };
constexpr std::size_t kPartTimes = 6;

/// What is known of a round as a whole. Bytes; joules by category, which add up to `joules`; seconds, to which the
/// parts add up; tokens. `seconds_at_means` is what the round would take if every layer and pass hit and missed as in
/// the mean: the difference to `seconds` is how far the mean misleads.
enum class RoundTotal : std::uint8_t {
  bytes_ext,
  bytes_hb,
  bytes_hb_written,
  bytes_link,
  bytes_near,
  energy_communication,
  energy_compute,
  energy_ext,
  energy_hb,
  energy_static,
  joules,
  seconds,
  seconds_at_means,
  tokens,
};
constexpr std::size_t kRoundTotals = 14;

/// Means of one round on a hardware row: figures by name, e.g. "verify.experts" (seconds), "verify.experts.hb",
/// "energy.ext", each there or not. Names are stable and ascend.
class Breakdown {
 public:
  static constexpr std::size_t kFigures = kRoundParts * kPartTimes + kRoundTotals;

  /// Every figure's name, ascending.
  static const std::array<std::string_view, kFigures>& names();
  static std::string_view name_of(RoundPart part);

  void set(RoundPart part, PartTime time, double value) { set(figure(part, time), value); }
  void set(RoundTotal total, double value) { set(figure(total), value); }
  /// Throws std::out_of_range where no figure has this name.
  void set(std::string_view name, double value);

  std::optional<double> find(RoundPart part, PartTime time) const { return value(figure(part, time)); }
  std::optional<double> find(RoundTotal total) const { return value(figure(total)); }
  std::optional<double> find(std::string_view name) const;
  /// The figure; throws std::out_of_range where it is not there.
  double at(std::string_view name) const;
  bool empty() const { return known_ == 0; }

  /// Calls visit(name, value) for every figure that is there, names ascending.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (std::size_t i = 0; i < kFigures; ++i) {
      if (is_known(i)) visit(names()[i], values_[i]);
    }
  }

  friend bool operator==(const Breakdown&, const Breakdown&) = default;

 private:
  static std::size_t figure(RoundPart part, PartTime time);
  static std::size_t figure(RoundTotal total);
  bool is_known(std::size_t figure) const { return (known_ >> figure & 1) != 0; }
  std::optional<double> value(std::size_t figure) const {
    return is_known(figure) ? std::optional(values_[figure]) : std::nullopt;
  }
  void set(std::size_t figure, double value) {
    values_[figure] = value;
    known_ |= std::uint64_t{1} << figure;
  }

  std::array<double, kFigures> values_{};
  std::uint64_t known_ = 0;
};
static_assert(Breakdown::kFigures <= 64);

}  // namespace moecarlo
