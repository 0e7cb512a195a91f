#include "hw/presets/preset.hpp"

#include <gmock/gmock.h>

#include <cstdlib>

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
  EXPECT_THAT(refusal(text), HasSubstr("odd.toml:4: unknown constant 'logic.clok'"));
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
              HasSubstr("logic.clock.unit: wrong unit (expected GHz, found GB/s)"));
  EXPECT_THAT(refusal(altered("value = 1.0, unit = \"GHz\"", "value = 1.0, unit = \"MHz\"")),
              HasSubstr("logic.clock.unit: unknown unit 'MHz'"));
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
              HasSubstr("no constant 'logic.processing_elements' (expected one in count)"));
}

TEST(Preset, RefusesAnUnknownStatus) {
  EXPECT_THAT(refusal("[logic]\nclock = { value = 1, unit = \"GHz\", status = \"guess\", source = \"s\" }"),
              HasSubstr("'guess' (expected published, derived or assumed)"));
}

TEST(Preset, RefusesAKeyOutsideATableAndWhatIsNotToml) {
  EXPECT_THAT(refusal("clock = 1\n"), HasSubstr("odd.toml:1: unknown key 'clock'"));
  EXPECT_THAT(refusal("[logic]\nclock = 1\n"), HasSubstr("odd.toml:2: logic.clock: not a row"));
  EXPECT_THAT(refusal("[logic\n"), HasSubstr("odd.toml:1: not valid TOML"));
}

TEST(Preset, NamesTheKnownPresetsWhereOneIsNotThere) {
  const std::string line = error_of([] { read_system("elmoe"); });
  EXPECT_THAT(line, HasSubstr("elmoe: no such preset (expected one of elmoe3d-4gb, elmoe3d-8gb, hb-xpu, xpu, "
                              "xpu-logicpim, xpu-nmp, xpu-pim in "));
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
              AllOf(HasSubstr("hb-xpu, mine, xpu"), HasSubstr("in /nowhere/systems, " + folder.string())));
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
  EXPECT_NEAR(small.ops_per_second / small.passes(4), 524e12, 0.5e12);
  EXPECT_NEAR(small.ops_per_second / small.passes(8), 262e12, 0.5e12);
  EXPECT_NEAR(large.ops_per_second / large.passes(4), 1048e12, 1e12);
  EXPECT_NEAR(large.ops_per_second / large.passes(8), 524e12, 0.5e12);
  EXPECT_NEAR(xpu.ops_per_second / xpu.passes(8), 262e12, 0.5e12);
}

TEST(System, PublishedHbBandwidthFollowsFromBanksPinsAndClock) {
  for (const auto& [name, banks] : {std::pair{"elmoe3d-4gb", 16}, std::pair{"elmoe3d-8gb", 32}}) {
    const System system = read_system(name);
    EXPECT_EQ(system.processing_elements, banks);
    EXPECT_DOUBLE_EQ(system.hb->bytes_per_second, 0.97 * banks * 1024 * 0.4e9 / 8);
    EXPECT_EQ(system.hb->capacity_bytes, banks * 268435456.0);
  }
}

}  // namespace
}  // namespace moecarlo::hw
