#include "host/study/study_keys.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <map>
#include <set>
#include <sstream>
#include <string>

#include "host/study/names.hpp"
#include "host/study/parse_study.hpp"
#include "host/support/error.hpp"

namespace moecarlo {
namespace {

/// The keys that a refusal of an unknown one lists.
std::set<std::string> listed(const std::string& study) {
  try {
    parse_study(study, "s.toml", "/nowhere");
  } catch (const Error& error) {
    const std::string line = error.what(), begin = "(expected one of: ";
    const std::size_t at = line.find(begin);
    if (at == std::string::npos) return {line};
    std::istringstream list(line.substr(at + begin.size(), line.find(')', at) - at - begin.size()));
    std::set<std::string> keys;
    for (std::string key; std::getline(list, key, ',');) keys.insert(key.substr(key.find_first_not_of(' ')));
    return keys;
  }
  return {};
}

/// What each model of acceptance needs beside its name.
std::string keys_of(const std::string& model) {
  if (model == "constant" || model == "ratio") return "alpha = 0.5\n";
  if (model == "positions" || model == "marginal") return fmt::format("{} = [0.5]\n", model);
  if (model == "lengths") return "lengths = [1]\n";
  return "";
}

TEST(StudyKeys, AreThoseThatTheReaderKnows) {
  std::map<std::string, std::set<std::string>> known;
  const std::string unknown = "zzzzzzzzzzzz = 1\n", study = "[study]\ntrace = \"t.h5\"\n",
                    grid = "[grid]\ncapacity = [1]\n", acceptance = "[acceptance]\nalpha = 0.5\n";
  known["study"] = listed(study + unknown + grid + acceptance);
  known["grid"] = listed(study + grid + unknown + acceptance);
  for (const char* table : {"cache", "draft"})
    known[table] = listed(study + grid + acceptance + fmt::format("[{}]\n", table) + unknown);
  known["stop"] = listed(study + grid + acceptance + "[stop]\nrelative_half_width = 0.1\n" + unknown);
  known["hardware"] = listed(study + grid + acceptance + "[hardware]\nmodel = \"m\"\nsystems = [\"s\"]\n" + unknown);
  known["prefetch"] = listed(study + grid + acceptance + "[prefetch]\npredictor = \"draft\"\n" + unknown);
  known["prefill"] = listed(study + grid + acceptance + "[prefill]\n" + unknown);
  known["demand"] = listed(study + grid + acceptance + "[demand]\n" + unknown);
  for (const auto& [model, value] : acceptance_names()) {
    known["acceptance"].merge(
        listed(study + grid + fmt::format("[acceptance]\nmodel = \"{}\"\n", model) + keys_of(model) + unknown));
  }
  std::map<std::string, std::set<std::string>> stated;
  for (const StudyKey& key : study_keys()) {
    EXPECT_TRUE(stated[key.table].insert(key.key).second) << key.table << "." << key.key << " stands there twice";
  }
  EXPECT_EQ(stated, known);
}

TEST(StudyKeys, SayWhatTheyAre) {
  for (const StudyKey& key : study_keys()) {
    EXPECT_FALSE(key.type.empty() || key.initial.empty() || key.meaning.empty()) << key.key;
  }
}

}  // namespace
}  // namespace moecarlo
