#include "hw/sensitivity/row_sides.hpp"

#include <algorithm>

namespace moecarlo::hw {
namespace {

/// What comes of a side with other values of some constants: of its system those that `system` owns, of a scheme those
/// of the row's own side.
Outcome changed(const CountedSide& side, std::span<const Move> moves, Owner system, bool is_own) {
  std::optional<Preset> on, with, of;
  const auto put = [](std::optional<Preset>& preset, const Preset& own, const Move& move) {
    if (!preset) preset = own;
    preset = with_value(*std::move(preset), move.key, move.value);
  };
  for (const Move& move : moves) {
    if (move.owner == system) put(on, side.system().preset, move);
    if (move.owner == Owner::model) put(of, side.model().preset, move);
    if (move.owner == Owner::scheme && is_own) put(with, side.scheme().preset, move);
  }
  if (!on && !with && !of) return side.outcome();
  const std::optional<System> new_system = on ? std::optional(make_system(*std::move(on))) : std::nullopt;
  const std::optional<Model> new_model = of ? std::optional(make_model(*of)) : std::nullopt;
  const std::optional<Scheme> new_scheme = with ? std::optional(with_constants(side.scheme(), *with)) : std::nullopt;
  return side.at(new_system ? *new_system : side.system(), new_scheme ? *new_scheme : side.scheme(),
                 new_model ? *new_model : side.model());
}

}  // namespace

bool is_whole(const Constant& constant) {
  return constant.unit == "count" || constant.unit == "bit";
}

bool is_yes_or_no(const Constant& constant) {
  const std::string_view name = "works_beside";
  return constant.key.size() > name.size() && constant.key.substr(constant.key.size() - name.size()) == name;
}

RowSides::RowSides(const SensitivityRow& row, const Model& model, const Context& context)
    : own_(row.own, model, context),
      one_system_(row.reference && row.own.system.preset.file == row.reference->system.preset.file) {
  if (row.reference) reference_.emplace(*row.reference, model, context);
  const auto add = [&](Owner owner, const std::string& prefix, const Preset& preset) {
    for (const Constant& constant : preset.constants) constants_.push_back({owner, &constant, prefix + constant.key});
  };
  add(Owner::system, "", row.own.system.preset);
  add(Owner::scheme, row.own.scheme.name + ": ", row.own.scheme.preset);
  add(Owner::model, model.preset.name + ": ", model.preset);
  if (row.reference && !one_system_)
    add(Owner::reference, row.reference->system.name + ": ", row.reference->system.preset);
}

RowSides::Outcomes RowSides::at(std::span<const Move> moves) const {
  Outcomes outcomes{changed(own_, moves, Owner::system, true), {}};
  if (reference_)
    outcomes.reference = changed(*reference_, moves, one_system_ ? Owner::system : Owner::reference, false);
  return outcomes;
}

}  // namespace moecarlo::hw
