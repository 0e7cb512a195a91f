#include "hw/presets/preset.hpp"

#include <gmock/gmock.h>

#include <cstdlib>

#include "hw/presets/units.hpp"
#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

constexpr const char* good_row = R"({ value = 1, unit = "GHz", status = "assumed", source = "test" })";

std::string refusal(const std::string& text) {
  const SampleFile file("odd.toml", text);
  return error_of([&] { read_system(file.path()); });
}

std::string text_of_preset(const std::string& system) {
  std::ifstream stream(std::string(MOECARLO_SOURCE_DIR) + "/hw/presets/systems/" + system + ".toml");
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// The text of elmoe3d-4gb with the first `from` replaced.
std::string altered(const std::string& from, const std::string& to) {
  std::string text = text_of_preset("elmoe3d-4gb");
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Preset, RefusesAnUnknownConstantByNameAndLine) {
  const std::string text = altered("[logic]\n", "[logic]\nclok = " + std::string(good_row) + "\n");
  EXPECT_THAT(refusal(text), HasSubstr("odd.toml:8: unknown constant 'logic.clok'"));
}

TEST(Preset, RefusesAnUnknownKeyOfARowByNameAndLine) {
  EXPECT_THAT(
      refusal("\n[logic]\nclock = { value = 1, unit = \"GHz\", note = \"x\", status = \"assumed\", source = \"s\" }"),
      HasSubstr("odd.toml:3: logic.clock: unknown key 'note'"));
}

TEST(Preset, RefusesAMissingUnit) {
  EXPECT_THAT(refusal("[logic]\nclock = { value = 1, status = \"assumed\", source = \"s\" }"),
              HasSubstr("odd.toml:2: logic.clock: no unit"));
}

TEST(Preset, RefusesAnotherUnit) {
  EXPECT_THAT(refusal(altered("value = 1.0, unit = \"GHz\"", "value = 1.0, unit = \"GB/s\"")),
              HasSubstr("logic.clock.unit: wrong unit (expected one like GHz, found GB/s)"));
  EXPECT_THAT(refusal(altered("value = 1.0, unit = \"GHz\"", "value = 1.0, unit = \"furlong\"")),
              HasSubstr("logic.clock.unit: unknown unit 'furlong' (expected one like"));
}

TEST(Preset, TakesAnyPrefixOfAUnit) {
  const SampleFile file("slow.toml", altered("value = 1.0, unit = \"GHz\"", "value = 1000, unit = \"MHz\""));
  EXPECT_EQ(read_system(file.path()).resources.front().seconds_per,
            read_system("elmoe3d-4gb").resources.front().seconds_per);
  for (const auto& [unit, factor] : {std::pair{"KiB", 1024.0},
                                     {"MB", 1e6},
                                     {"GB/s", 1e9},
                                     {"us", 1e-6},
                                     {"mW", 1e-3},
                                     {"pJ/bit", 8e-12},
                                     {"TOPS", 1e12},
                                     {"TFLOPS", 1e12},
                                     {"Gbit/s", 1e9 / 8},
                                     {"ms", 1e-3},
                                     {"nJ/op", 1e-9},
                                     {"GiB/s", 1073741824.0}}) {
    ASSERT_TRUE(parse_unit(unit)) << unit;
    EXPECT_DOUBLE_EQ(parse_unit(unit)->factor, factor) << unit;
  }
  EXPECT_EQ(parse_unit("bit")->dimension, Dimension::width);
  EXPECT_EQ(parse_unit("Gbit")->dimension, Dimension::bytes);
  for (const char* unit : {"", "GG", "kcount", "Mshare", "KiW", "hz", "B/bit"}) EXPECT_FALSE(parse_unit(unit)) << unit;
}

TEST(Preset, ExtendsAnotherByWhatItSaysItself) {
  const SampleFile file("fast.toml",
                        "extends = \"xpu-pim\"\n[ext]\nbandwidth = { value = 204.8, unit = \"GB/s\", "
                        "status = \"assumed\", source = \"twice\" }\n");
  const System base = read_system("xpu-pim"), own = read_system(file.path());
  EXPECT_EQ(own.name, "fast");
  EXPECT_EQ(own.preset.constants.size(), base.preset.constants.size());
  const std::size_t ext = base.units.front().paths.front().front();
  EXPECT_DOUBLE_EQ(own.resources[ext].seconds_per, base.resources[ext].seconds_per / 2);
  EXPECT_EQ(own.resources[0].seconds_per, base.resources[0].seconds_per);
  const SampleFile itself("self.toml", "extends = \"self.toml\"\n");
  EXPECT_THAT(error_of([&] { read_system(itself.path()); }), HasSubstr("do they extend themselves?"));
  const SampleFile nothing("nothing.toml", "extends = 3\n");
  EXPECT_THAT(error_of([&] { read_system(nothing.path()); }), HasSubstr("nothing.toml:1: extends: not a text"));
  const SampleFile unread("unread.toml", "extends = \"xpu\"\n[hb]\nlayers = \"four\"\n");
  EXPECT_THAT(error_of([&] { read_system(unread.path()); }), HasSubstr("unread.toml:3: unknown key 'hb.layers'"));
}

TEST(System, RefusesWhatHangsTogetherInNoWay) {
  const auto without = [](const std::string& from, const std::string& to) { return refusal(altered(from, to)); };
  EXPECT_THAT(without("tiers = [\"hb\", \"ext\"]", "tiers = [\"logic\", \"ext\"]"),
              HasSubstr("logic.kind: expected store (found 'unit')"));
  EXPECT_THAT(without("\"ext via streamline\"", "\"ext over streamline\""), HasSubstr("\"STORE via LINK\""));
  EXPECT_THAT(without("\"ext via streamline\"", "\"ext via rope\""),
              HasSubstr("logic.sees: expected one of the links streamline, aggregation"));
  EXPECT_THAT(without("coupled = \"logic\"", "coupled = \"tragic\""),
              HasSubstr("hb.coupled: expected one of the units"));
  EXPECT_THAT(without("[static]",
                      "[miss]\nfetch = { value = 0.5, unit = \"share\", status = \"assumed\", source = "
                      "\"s\" }\n[static]"),
              HasSubstr("miss: shares that do not add up"));
}

TEST(Preset, RefusesTextWhereANumberBelongs) {
  EXPECT_THAT(refusal(altered("value = 1.0", "value = \"1.0\"")), HasSubstr("logic.clock.value: not a number"));
  EXPECT_THAT(refusal(altered("value = 1.0", "value = inf")), HasSubstr("logic.clock.value: not a number"));
}

TEST(Preset, RefusesABandwidthOfZeroOrLess) {
  EXPECT_THAT(refusal(altered("value = 102.4", "value = 0")),
              HasSubstr("ext.bandwidth.value: out of range (expected more than 0, found 0)"));
  EXPECT_THAT(refusal(altered("value = 102.4", "value = -1.5")), HasSubstr("found -1.5"));
}

TEST(Preset, RefusesAShareAboveOne) {
  EXPECT_THAT(refusal(altered("value = 0.97", "value = 97")), HasSubstr("hb.efficiency.value: out of range"));
}

TEST(Preset, RefusesAMissingConstant) {
  EXPECT_THAT(refusal("[logic]\nclock = " + std::string(good_row)),
              HasSubstr("no key 'system.tiers' (expected a text)"));
  EXPECT_THAT(refusal(altered("clock = ", "cl0ck = ")), HasSubstr("unknown constant 'logic.cl0ck'"));
}

TEST(Preset, RefusesAnUnknownStatus) {
  EXPECT_THAT(refusal("[logic]\nclock = { value = 1, unit = \"GHz\", status = \"guess\", source = \"s\" }"),
              HasSubstr("'guess' (expected published, derived, assumed, measured, fitted)"));
}

TEST(Preset, RefusesAKeyOutsideATableAndWhatIsNotToml) {
  EXPECT_THAT(refusal("clock = 1\n"), HasSubstr("odd.toml:1: unknown key 'clock'"));
  EXPECT_THAT(refusal("[logic]\nclock = 1\n"), HasSubstr("odd.toml:2: logic.clock: not a row"));
  EXPECT_THAT(refusal("[logic\n"), HasSubstr("odd.toml:1: not valid TOML"));
}

TEST(Preset, NamesTheKnownPresetsWhereOneIsNotThere) {
  const std::string line = error_of([] { read_system("elmoe"); });
  EXPECT_THAT(line, AllOf(HasSubstr("elmoe: no such preset (expected one of a100, bank-pim-h100, "),
                          HasSubstr(", strix-halo, t4, wafers-4x8x8, xeon, xpu, xpu-logicpim, xpu-nmp, xpu-pim in ")));
  EXPECT_EQ(error_of([] { read_system("./none.toml"); }), "./none.toml: no such preset file");
}

TEST(Preset, IsFoundInTheFoldersOfTheEnvironmentBeforeThoseThatShip) {
  const SampleFile file("systems", "");
  const std::filesystem::path folder = std::filesystem::path(file.path()).parent_path();
  std::filesystem::remove(file.path());
  std::filesystem::create_directory(folder / "systems");
  std::ofstream(folder / "systems" / "mine.toml") << text_of_preset("xpu");
  std::ofstream(folder / "systems" / "xpu-pim.toml") << text_of_preset("xpu");
  setenv("MOECARLO_PRESETS", ("/nowhere::" + folder.string()).c_str(), 1);
  EXPECT_EQ(read_system("mine").name, "mine");
  EXPECT_EQ(read_system("xpu").name, "xpu") << "those that ship are still there";
  EXPECT_EQ(find_preset("systems", "xpu-pim"), folder / "systems" / "xpu-pim.toml") << "the first one found counts";
  EXPECT_THAT(error_of([] { read_system("yours"); }),
              AllOf(HasSubstr("mi210-x2, mine, nvl72, pim-gpt"), HasSubstr("in /nowhere/systems, " + folder.string())));
  unsetenv("MOECARLO_PRESETS");
}

TEST(Preset, IsAMatterOfUsageAndAModelConfigOfInput) {
  const auto kind_of = [](const auto& call) {
    try {
      call();
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::machine;
  };
  EXPECT_EQ(kind_of([] { read_system("none"); }), ErrorKind::usage);
  EXPECT_EQ(kind_of([] { read_model("none"); }), ErrorKind::usage);
  EXPECT_EQ(kind_of([] { read_model("none.json"); }), ErrorKind::input);
}

TEST(Preset, ListsEveryConstantWithUnitStatusAndSource) {
  const auto list = list_constants(read_system("xpu").preset);
  ASSERT_EQ(list.size(), 11U);
  EXPECT_EQ(list[6].name, "xpu: ext.bandwidth");
  EXPECT_EQ(list[6].value, "102.4 GB/s");
  EXPECT_EQ(list[6].status, "published");
  EXPECT_THAT(list[6].source, EndsWith("LPDDR5-6400"));
}

TEST(System, PublishedPeaksFollowFromElementsMultipliersAndClock) {
  const System small = read_system("elmoe3d-4gb"), large = read_system("elmoe3d-8gb"), xpu = read_system("xpu");
  const auto peak = [](const System& system, double bits) {
    const Unit& logic = system.units.front();
    return 1 / system.resources[logic.operations].seconds_per / logic.passes(bits);
  };
  EXPECT_NEAR(peak(small, 4), 524e12, 0.5e12);
  EXPECT_NEAR(peak(small, 8), 262e12, 0.5e12);
  EXPECT_NEAR(peak(large, 4), 1048e12, 1e12);
  EXPECT_NEAR(peak(large, 8), 524e12, 0.5e12);
  EXPECT_NEAR(peak(xpu, 8), 262e12, 0.5e12);
}

TEST(System, PublishedHbBandwidthFollowsFromBanksPinsAndClock) {
  for (const auto& [name, banks] : {std::pair{"elmoe3d-4gb", 16}, std::pair{"elmoe3d-8gb", 32}}) {
    const System system = read_system(name);
    const Unit& logic = system.units.front();
    EXPECT_EQ(logic.elements, banks);
    EXPECT_DOUBLE_EQ(1 / system.resources[logic.paths[0].front()].seconds_per, 0.97 * banks * 1024 * 0.4e9 / 8);
    EXPECT_EQ(system.tiers.front().capacity_bytes, banks * 268435456.0);
  }
}

}  // namespace
}  // namespace moecarlo::hw
