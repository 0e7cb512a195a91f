#include <fmt/format.h>

#include <array>
#include <cctype>
#include <cmath>
#include <map>

#include "host/support/error.hpp"
#include "hw/plan/mean_time.hpp"
#include "hw/reproduce/flash_tiles.hpp"
#include "hw/reproduce/published_lines.hpp"
#include "hw/reproduce/reproductions.hpp"
#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {
namespace {

constexpr const char* kRatesHeader = "model,S,M,L";
constexpr const char* kMovedHeader = "model,machine,gigabytes_moved";
constexpr const char* kRatiosHeader = "quantity,machine,published";
constexpr std::array<const char*, 3> kSizes{"S", "M", "L"};

std::string cambricon_preset(const std::string& size) {
  return fmt::format("cambricon-{}", static_cast<char>(std::tolower(static_cast<unsigned char>(size.front()))));
}

struct CambriconConstants {
  std::map<std::string, FlashArray> arrays;
  double moved_tolerance = 0;
};

CambriconConstants read_cambricon(const Preset& preset) {
  PresetReader reader(preset);
  CambriconConstants constants;
  for (const char* size : kSizes) {
    const std::string table = size;
    FlashArray& array = constants.arrays[size];
    array.channels = reader.count(table + ".channels");
    array.cores_per_channel =
        static_cast<double>(reader.count(table + ".chips")) * reader.count("flash.dies") * reader.count("flash.cores");
    array.page_bytes = reader.positive("flash.page", "B");
    array.page_seconds = reader.positive("flash.read", "s");
    array.channel_bytes = reader.positive("flash.channel", "B/s");
  }
  constants.moved_tolerance = reader.share("table.moved_tolerance");
  reader.finish();
  return constants;
}

/// One token without keys and values: the paper does not state its context.
Done token_without_context(const System& system, const Model& model) {
  TargetPass pass;
  pass.layers.layers_at_home = 1;
  pass.layers.kept_bits = model.dense_format.bits;
  return at_means(system, model, target_pass(system, model, {0, 1, 0, 8}, pass), {});
}

/// Half a unit of the last digit that a number is printed with.
double rounding_of(const std::string& printed) {
  const auto point = printed.find('.');
  const auto digits = point == std::string::npos ? 0 : printed.size() - point - 1;
  return 0.5 * std::pow(10.0, -static_cast<double>(digits));
}

void add_rates(const PublishedLine& line, const std::filesystem::path& table, std::vector<ReproducedRow>& rows) {
  const Model model = make_model(in_bits(published_model(table, line.fields[0]), 8));
  for (std::size_t s = 0; s < kSizes.size(); ++s) {
    const auto published = line.number_or_none(s + 1, kSizes[s]);
    if (!published) continue;
    const System system = read_system(cambricon_preset(kSizes[s]));
    const double roof = 1 / token_without_context(system, model).seconds;
    const double least = *published - rounding_of(line.fields[s + 1]);
    rows.push_back(compare_roof({"speed, under the roof of its weights",
                                 fmt::format("{} on {}, W8A8, batch 1, no keys and values; published / roof {:.2f}",
                                             model.name, system.name, *published / roof),
                                 "token/s", *published},
                                roof, {},
                                least <= roof
                                    ? fmt::format("printed with few digits: it may be {:.3g}, which is below", least)
                                    : "published above what pages and channels allow"));
  }
}

void add_moved(const PublishedLine& line, const std::filesystem::path& table, double tolerance,
               std::vector<ReproducedRow>& rows) {
  const Model model = make_model(in_bits(published_model(table, line.fields[0]), 8));
  const System system = read_system(cambricon_preset(line.fields[1]));
  const double moved = token_without_context(system, model).work.amount(system.tiers.back().read) / 1e9;
  rows.push_back(compare({"weights over the channels, a token", fmt::format("{} on {}", model.name, system.name), "GB",
                          line.number(2, "gigabytes_moved")},
                         moved, tolerance, {}, "the paper counts more than weights, and does not say what"));
}

/// Ratios that the tiles say something about; the others stay open.
ReproducedRow ratio_row(const PublishedLine& line, const CambriconConstants& constants) {
  const std::string& what = line.fields[0];
  const std::string& size = line.fields[1];
  const Claim claim{what, size.empty() ? "" : cambricon_preset(size), "ratio", line.number(2, "published")};
  if (size.empty())
    return leave_open(claim, std::nullopt, "machine and conditions of the other side are not published");
  const auto found = constants.arrays.find(size);
  if (found == constants.arrays.end())
    fail(ErrorKind::input, "{}: no such machine (expected S, M or L, found '{}')", line.place, size);
  const FlashArray& array = found->second;
  const FlashTiles tiles = flash_tiles(array);
  if (what.starts_with("flash and channels over flash alone")) {
    return leave_open(claim, tiles.bytes() / tiles.inside_bytes, "which of its models and machines is not published");
  }
  if (what.starts_with("4-bit weights and 16-bit activations")) {
    FlashArray narrow = array;
    narrow.weight_bytes = 0.5;
    narrow.activation_bytes = 2;
    const double gain = flash_tiles(narrow).bytes() / narrow.weight_bytes / (tiles.bytes() / array.weight_bytes);
    return compare_roof(claim, gain, {}, "published above what pages and channels allow");
  }
  return leave_open(claim, std::nullopt, "what it is relative to is not published");
}

}  // namespace

std::vector<ReproducedRow> reproduce_cambricon(const Preset& constants, const PublishedTables& tables) {
  const CambriconConstants known = read_cambricon(constants);
  std::vector<ReproducedRow> rows;
  for (const auto& table : tables) {
    const std::string header = published_header(table);
    if (header != kRatesHeader && header != kMovedHeader && header != kRatiosHeader)
      refuse_table(table, {kRatesHeader, kMovedHeader, kRatiosHeader});
    for (const PublishedLine& line : read_published_lines(table, header)) {
      if (header == kRatesHeader) add_rates(line, table, rows);
      if (header == kMovedHeader) add_moved(line, table, known.moved_tolerance, rows);
      if (header == kRatiosHeader) rows.push_back(ratio_row(line, known));
    }
  }
  return rows;
}

}  // namespace moecarlo::hw
