#include "hw/presets/units.hpp"

#include <array>
#include <utility>

namespace moecarlo::hw {
namespace {

struct Base {
  std::string_view name;
  Measure measure;
};

constexpr std::array<Base, 15> kBases{{{"B", {Dimension::bytes, 1}},
                                       {"B/s", {Dimension::bytes_per_second, 1}},
                                       {"bit", {Dimension::bytes, 1.0 / 8}},
                                       {"bit/s", {Dimension::bytes_per_second, 1.0 / 8}},
                                       {"b/s", {Dimension::bytes_per_second, 1.0 / 8}},
                                       {"Hz", {Dimension::hertz, 1}},
                                       {"OPS", {Dimension::operations_per_second, 1}},
                                       {"FLOPS", {Dimension::operations_per_second, 1}},
                                       {"J/B", {Dimension::joules_per_byte, 1}},
                                       {"J/bit", {Dimension::joules_per_byte, 8}},
                                       {"J/op", {Dimension::joules_per_operation, 1}},
                                       {"W", {Dimension::watts, 1}},
                                       {"s", {Dimension::seconds, 1}},
                                       {"count", {Dimension::count, 1}},
                                       {"share", {Dimension::share, 1}}}};

constexpr std::array<std::pair<std::string_view, double>, 16> kPrefixes{{{"Ki", 1024.0},
                                                                         {"Mi", 1048576.0},
                                                                         {"Gi", 1073741824.0},
                                                                         {"Ti", 1099511627776.0},
                                                                         {"Pi", 1125899906842624.0},
                                                                         {"p", 1e-12},
                                                                         {"n", 1e-9},
                                                                         {"u", 1e-6},
                                                                         {"µ", 1e-6},
                                                                         {"m", 1e-3},
                                                                         {"k", 1e3},
                                                                         {"K", 1e3},
                                                                         {"M", 1e6},
                                                                         {"G", 1e9},
                                                                         {"T", 1e12},
                                                                         {"P", 1e15}}};

bool starts_with(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

const Base* find_base(std::string_view name) {
  for (const Base& base : kBases) {
    if (base.name == name) return &base;
  }
  return nullptr;
}

bool takes_prefix(const Base& base, std::string_view prefix) {
  const Dimension what = base.measure.dimension;
  if (what == Dimension::count || what == Dimension::share) return false;
  const bool binary = prefix.size() == 2 && prefix.back() == 'i';
  return !binary || what == Dimension::bytes || what == Dimension::bytes_per_second;
}

}  // namespace

std::optional<Measure> parse_unit(std::string_view unit) {
  if (unit == "bit") return Measure{Dimension::width, 1};
  if (const Base* const plain = find_base(unit)) return plain->measure;
  for (const auto& [prefix, factor] : kPrefixes) {
    if (!starts_with(unit, prefix)) continue;
    const Base* const base = find_base(unit.substr(prefix.size()));
    if (base == nullptr || !takes_prefix(*base, prefix)) continue;
    return Measure{base->measure.dimension, factor * base->measure.factor};
  }
  return std::nullopt;
}

}  // namespace moecarlo::hw
