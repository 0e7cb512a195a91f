#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hw/sensitivity/counted_side.hpp"

namespace moecarlo::hw {

/// A hardware row that is to be taken apart, and what its speed-up and its energy gain are relative to, if anything.
struct SensitivityRow {
  std::string label;
  CountedDecoding own;
  std::optional<CountedDecoding> reference;
};

/// Whose a constant is.
enum class Owner { system, scheme, model, reference };

/// A constant behind a row.
struct OwnedConstant {
  Owner owner{};
  const Constant* constant = nullptr;
  std::string name;  ///< by key; of others than the row's system with a name before it: "eagle: head.bits"
};

/// Another value of a constant.
struct Move {
  Owner owner{};
  std::string_view key;
  double value = 0;
};

bool is_whole(const Constant& constant);      ///< comes in whole numbers only
bool is_yes_or_no(const Constant& constant);  ///< no quantity

/// The row and its reference with other constants than their own.
class RowSides {
 public:
  /// Row and model must outlive it. Throws as project() does.
  RowSides(const SensitivityRow& row, const Model& model, const Context& context);

  /// Of the row's system, scheme and model, then of the reference's system where that is another.
  const std::vector<OwnedConstant>& constants() const { return constants_; }

  /// What comes of both with all these values. Constants that both have move both. Throws usage where that is not
  /// possible.
  struct Outcomes {
    Outcome own, reference;
  };
  Outcomes at(std::span<const Move> moves) const;

  CountedSide& own() { return own_; }
  std::optional<CountedSide>& reference() { return reference_; }

 private:
  CountedSide own_;
  std::optional<CountedSide> reference_;
  bool one_system_;  ///< row and reference run on the same, whose constants move both
  std::vector<OwnedConstant> constants_;
};

}  // namespace moecarlo::hw
