#include "hw/schemes/coding.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "host/support/error.hpp"
#include "hw/schemes/bit_slices.hpp"

namespace moecarlo::hw {
namespace {

constexpr std::size_t kMergedRows = 4;  // MCBP's groups
constexpr double kBytesOfBfloat16 = 2;

/// A format that has to hold weights of so many bits.
void expect_bits(const Model& model, const WeightFormat& format, double bits, const char* coding) {
  if (format.bits == bits) return;
  fail(ErrorKind::usage, "{}: {} codes weights of {} bits (expected a model that has them, found {} bits)", model.name,
       coding, bits, format.bits);
}

/// Applies a coding to the weights of a model, dense ones and experts.
template <class Change>
void change_weights(Model& model, double bits, const char* coding, const Change& change) {
  expect_bits(model, model.dense_format, bits, coding);
  change(model.dense_format);
  if (model.is_dense()) return;
  expect_bits(model, model.expert_format, bits, coding);
  change(model.expert_format);
}

void apply_dfloat11(Model& model, PresetReader& reader) {
  const double bits = dfloat11_bits(reader.positive("dfloat11.code_bits", "bit"));
  const double rate = reader.positive("dfloat11.decode", "B/s") / kBytesOfBfloat16;
  change_weights(model, 16, "dfloat11", [&](WeightFormat& format) {
    format.coded_share *= bits / format.bits;
    format.decoded_per_second = rate;
  });
}

/// What was counted with scales of groups or of rows, whichever the weights have.
double counted(PresetReader& reader, const WeightFormat& format, const std::string& coding, std::string_view unit) {
  const double group = reader.positive(coding + ".group", unit);
  if (format.group_size <= kScaleGroup) {
    if (reader.has(coding + ".channel")) reader.positive(coding + ".channel", unit);
    return group;
  }
  if (!reader.has(coding + ".channel"))
    fail(ErrorKind::usage, "{}: counts of weights with a scale a row need the original weights", coding);
  return reader.positive(coding + ".channel", unit);
}

void apply_bstc(Model& model, PresetReader& reader) {
  change_weights(model, 8, "bstc", [&](WeightFormat& format) {
    format.coded_share *= counted(reader, format, "bstc", "bit") / format.bits;
  });
}

void apply_brcr(Model& model, PresetReader& reader) {
  change_weights(model, 8, "brcr",
                 [&](WeightFormat& format) { format.operations_share *= counted(reader, format, "brcr", "count"); });
}

void apply_bgpp(Model& model, PresetReader& reader) {
  model.kv_read_share *= reader.share("bgpp.kv_read");
}

Preset shipped(const char* name) {
  return read_preset(find_preset("schemes", name));
}

/// Counted constants in the place of, or beside, those of a preset.
void put_counted(Preset& preset, const std::string& key, double value, const char* unit, const BitSlices& from) {
  const Constant constant{key, value, unit, "measured", "counted of the weights of " + from.model, 0, from.path};
  const auto found = std::find_if(preset.constants.begin(), preset.constants.end(),
                                  [&](const Constant& one) { return one.key == key; });
  if (found == preset.constants.end()) {
    preset.constants.push_back(constant);
  } else {
    *found = constant;
  }
}

Preset dfloat11_constants(const BitSlices* from) {
  Preset preset = shipped("dfloat11");
  if (from != nullptr && from->formats->lossless)
    put_counted(preset, "dfloat11.code_bits", from->formats->lossless->code_bits, "bit", *from);
  return preset;
}

/// A figure of planes merged in groups of four rows.
template <class Figure>
Preset plane_constants(const char* coding, const char* unit, const BitSlices* from, const Figure& figure) {
  if (from == nullptr)
    fail(ErrorKind::usage, "{}: has to be counted of real weights (expected hardware.bit_slices of a study)", coding);
  Preset preset{coding, from->path, {}, {}};
  const auto put = [&](const char* scales, const MagnitudeFigures& figures) {
    put_counted(preset, fmt::format("{}.{}", coding, scales), figure(figures.by_rows[kMergedRows - 1]), unit, *from);
  };
  put("group", from->formats->by_group);
  if (from->formats->by_channel) put("channel", *from->formats->by_channel);
  return preset;
}

Preset bstc_constants(const BitSlices* from) {
  return plane_constants("bstc", "bit", from, [](const MergedFigures& figures) { return figures.paying_bits; });
}

Preset brcr_constants(const BitSlices* from) {
  return plane_constants("brcr", "count", from,
                         [](const MergedFigures& figures) { return 1 / figures.dense_over_merged; });
}

Preset bgpp_constants(const BitSlices*) {
  return shipped("bgpp");
}

struct Coding {
  const char* name;
  Preset (*constants)(const BitSlices* counted);
  void (*apply)(Model& model, PresetReader& reader);
  const char* loss;  ///< what is lost by it; empty: nothing
};

constexpr std::array<Coding, 4> kCodings{
    {{"dfloat11", dfloat11_constants, apply_dfloat11, ""},
     {"bstc", bstc_constants, apply_bstc, ""},
     {"brcr", brcr_constants, apply_brcr, ""},
     {"bgpp", bgpp_constants, apply_bgpp,
      "leaves out keys and values by a stated share: lossy, what that costs is not known here, and acceptance is "
      "taken to be what it is without it"}}};

const Coding& find_coding(const std::string& name) {
  std::vector<std::string> names;
  for (const Coding& one : kCodings) {
    if (one.name == name) return one;
    names.emplace_back(one.name);
  }
  fail(ErrorKind::usage, "{}: no such coding (expected one of {})", name, fmt::join(names, ", "));
}

}  // namespace

std::string without_codings(const std::string& name, std::vector<std::string>& codings) {
  std::size_t end = name.find('+');
  std::string scheme = name.substr(0, end);
  while (end != std::string::npos) {
    const std::size_t next = name.find('+', end + 1);
    codings.push_back(name.substr(end + 1, next - end - 1));
    end = next;
  }
  return scheme;
}

Preset coding_constants(const std::string& coding, const BitSlices* counted) {
  return find_coding(coding).constants(counted);
}

std::vector<Preset> take_coding_constants(Preset& constants, const std::vector<std::string>& codings) {
  std::vector<Preset> taken;
  for (const std::string& coding : codings) {
    Preset& own = taken.emplace_back(Preset{coding, constants.file, {}, {}});
    std::vector<Constant> left;
    for (Constant& one : constants.constants)
      (one.key.starts_with(coding + ".") ? own.constants : left).push_back(std::move(one));
    constants.constants = std::move(left);
  }
  return taken;
}

Scheme with_coding(const Scheme& scheme, const std::string& coding, const Preset& constants) {
  if (std::find(scheme.codings.begin(), scheme.codings.end(), coding) != scheme.codings.end())
    fail(ErrorKind::usage, "{}: {} a second time", scheme.name, coding);
  const Coding& known = find_coding(coding);
  const auto coded = [known, constants](Model model) {
    PresetReader reader(constants);
    known.apply(model, reader);
    reader.finish();
    return model;
  };
  Scheme own = on_changed(scheme, coded);
  own.name += "+" + coding;
  own.codings.push_back(coding);
  if (own.preset.name.empty()) own.preset = {own.name, constants.file, {}, {}};
  for (Constant constant : constants.constants) {
    if (constant.file.empty()) constant.file = constants.file;
    own.preset.constants.push_back(std::move(constant));
  }
  own.stored = [stored = scheme.stored, coded](const Model& model) { return coded(stored ? stored(model) : model); };
  return own;
}

std::vector<std::string> coding_notes(const std::vector<Scheme>& schemes) {
  std::vector<std::string> notes;
  for (const Scheme& scheme : schemes) {
    for (const std::string& coding : scheme.codings) {
      if (const Coding& known = find_coding(coding); known.loss[0] != '\0')
        notes.push_back(fmt::format("{}: {} {}.", scheme.name, coding, known.loss));
    }
  }
  return notes;
}

}  // namespace moecarlo::hw
