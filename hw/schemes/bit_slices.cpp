#include "hw/schemes/bit_slices.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "host/support/error.hpp"
#include "host/support/json_file.hpp"
#include "host/support/json_keys.hpp"
#include "host/weights/figures_json.hpp"
#include "host/weights/format_json.hpp"

namespace moecarlo::hw {
namespace {

constexpr const char* kSchema = "moecarlo-bitslice";
constexpr std::uint64_t kLargestFile = std::uint64_t{1} << 28;

}  // namespace

BitSlices read_bit_slices(const std::filesystem::path& file) {
  const auto json = read_json<nlohmann::ordered_json>(file, "a bitslice.json of moecarlo bitslice", kLargestFile);
  try {
    if (member(json, "schema") != kSchema || member(json, "schema_version") != 2) {
      fail(ErrorKind::input, "{}: wrong schema (expected {} version 2, found {} version {})", file.string(), kSchema,
           member(json, "schema").dump(), member(json, "schema_version").dump());
    }
    const auto figures = std::make_shared<const WeightFigures>(figures_from_json(member(json, "total")));
    const auto formats = std::make_shared<const FormatFigures>(format_figures_from_json(member(json, "total")));
    nlohmann::ordered_json total = to_json(*figures);
    add_members(total, to_json(*formats));
    const nlohmann::ordered_json weights{{"path", ""}, {"model", ""}, {"source", ""}};
    const nlohmann::ordered_json known{{"schema", ""},   {"schema_version", 2}, {"version", ""}, {"weights", weights},
                                       {"total", total}, {"layers", ""},        {"experts", ""}, {"matrices", ""}};
    expect_keys_of(json, known, file.string());
    return {file.string(), member(member(json, "weights"), "model").get<std::string>(), figures, formats};
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::input, "{}: not a readable bitslice.json ({})", file.string(), reason_of(error));
  } catch (const std::out_of_range& error) {  // a key that is not there
    fail(ErrorKind::input, "{}: not a readable bitslice.json ({})", file.string(), error.what());
  }
}

Model measured(Model model, const BitSlices& slices) {
  if (!model.expert_format.sliceable()) {
    fail(ErrorKind::usage, "{}: bit slices of experts that are not sliced (expected 8-bit experts, found {} bits)",
         model.name, model.expert_format.bits);
  }
  model.expert_format.measured = slices.figures;
  return model;
}

Scheme on_measured_slices(const Scheme& scheme, const Model& measured) {
  Scheme own = on_changed(scheme, [figures = measured.expert_format.measured](Model model) {
    model.expert_format.measured = figures;
    return model;
  });
  own.name += "-measured";
  return own;
}

std::string uncut_note(const Model& model, std::span<const std::uint32_t> bits) {
  const WeightFormat& format = model.expert_format;
  std::vector<std::uint32_t> uncut;
  std::copy_if(bits.begin(), bits.end(), std::back_inserter(uncut),
               [&](std::uint32_t kept) { return kept_expert_bits(model, kept) >= format.bits; });
  if (uncut.empty()) return {};
  return fmt::format(
      "Bits {} cut nothing from the experts of {}, which have {} bits{}: such a draft holds and reads {:.4g} of {:.4g} "
      "bits of each expert weight. It saves experts, not bits.",
      fmt::join(uncut, ", "), model.name, format.bits, format.sliceable() ? "" : " and are moved whole",
      format.stored_bits(format.bits), format.stored_bits());
}

std::vector<MeasuredQuantity> measured_quantities(const System& system, const Model& nominal, const Model& measured,
                                                  std::uint32_t bits) {
  const WeightFormat &before = nominal.expert_format, &after = measured.expert_format;
  const auto lower = [&](const WeightFormat& format) { return format.stored_bits() - format.stored_bits(bits); };
  constexpr double bytes_per_megabyte = 1e6;
  const double bits_per_pass = system.units.front().bits_per_pass;
  return {
      {fmt::format("upper slice of {} bits, with its scale", bits), "bit per weight", before.stored_bits(bits),
       after.stored_bits(bits)},
      {fmt::format("lower slice of {} bits", 8 - bits), "bit per weight", lower(before), lower(after)},
      {"whole expert", "MB", expert_bytes(nominal) / bytes_per_megabyte, expert_bytes(measured) / bytes_per_megabyte},
      {fmt::format("multiplications of a draft at {} bits, {}", bits, system.name), "share",
       before.multiplied_share(bits, bits_per_pass), after.multiplied_share(bits, bits_per_pass)},
      {fmt::format("multiplications of a verification, {}", system.name), "share",
       before.multiplied_share(before.bits, bits_per_pass), after.multiplied_share(after.bits, bits_per_pass)}};
}

}  // namespace moecarlo::hw
