#include "host/study/speculation_profile.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "host/support/error.hpp"

namespace moecarlo {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

/// A profile in a file of its own, removed at the end.
class ProfileFile {
 public:
  explicit ProfileFile(const std::string& text)
      : path_(std::filesystem::temp_directory_path() /
              ("moecarlo-speculation_profile-" + std::to_string(::getpid()) + ".json")) {
    std::ofstream(path_) << text;
  }
  ~ProfileFile() { std::filesystem::remove(path_); }
  ProfileFile(const ProfileFile&) = delete;
  ProfileFile& operator=(const ProfileFile&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::vector<double> read(const std::string& text) {
  const ProfileFile file(text);
  return read_speculation_profile(file.path());
}

void expect_refused(const std::string& text, const char* message) {
  try {
    read(text);
    ADD_FAILURE() << "accepted: " << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input);
    EXPECT_THAT(error.what(), HasSubstr(message));
    EXPECT_THAT(error.what(), HasSubstr("moecarlo-speculation_profile-"));
    EXPECT_THAT(error.what(), Not(HasSubstr("\n")));
  }
}

TEST(SpeculationProfile, ConditionalRatesAreTakenAsTheyAre) {
  EXPECT_THAT(read(R"({"conditional_acceptance_rates": [0.8, 0.9, 1, 0]})"), ElementsAre(0.8, 0.9, 1.0, 0.0));
  EXPECT_THAT(read(R"({"model": "m", "Conditional_Acceptance_Rate": [0.5]})"), ElementsAre(0.5));
}

TEST(SpeculationProfile, MarginalRatesBecomeRatios) {
  for (const char* key : {"marginal_acceptance_rates", "marginal_acceptance_rate", "joint_acceptance_rates",
                          "joint_acceptance_rate", "Joint_Acceptance_Rate"}) {
    EXPECT_THAT(read("{\"" + std::string(key) + "\": [0.8, 0.6, 0.6, 0.15, 0, 0]}"),
                ElementsAre(0.8, DoubleEq(0.6 / 0.8), 1.0, DoubleEq(0.15 / 0.6), 0.0, 0.0))
        << key;
  }
}

TEST(SpeculationProfile, AmbiguousFilesAreRefused) {
  expect_refused(R"({"acceptance_rates": [0.8, 0.6]})", "no other name says which");
  expect_refused("{}", "expected a list named");
  expect_refused(R"({"conditional_acceptance_rates": [0.8], "joint_acceptance_rates": [0.8]})", "ambiguous rates");
  expect_refused(R"({"conditional_acceptance_rates": [0.8], "Conditional_Acceptance_Rates": [0.9]})",
                 "ambiguous rates");
}

TEST(SpeculationProfile, BrokenValuesAreRefused) {
  expect_refused(R"({"conditional_acceptance_rates": []})", "0 of them");
  expect_refused(R"({"conditional_acceptance_rates": 0.5})", "found number");
  expect_refused(R"({"conditional_acceptance_rates": {"0": 0.5}})", "found object");
  expect_refused(R"({"conditional_acceptance_rates": [0.5, 1.01]})", "position 1");
  expect_refused(R"({"conditional_acceptance_rates": [-0.1]})", "position 0");
  expect_refused(R"({"conditional_acceptance_rates": [0.5, "0.5"]})", "found string");
  expect_refused(R"({"conditional_acceptance_rates": [null]})", "found null");
  expect_refused(R"({"marginal_acceptance_rates": [0.5, 0.6]})", "rises at position 1");
  std::string many = "[0.5";
  for (int i = 0; i < 255; ++i) many += ", 0.5";
  expect_refused(R"({"conditional_acceptance_rates": )" + many + "]}", "256 of them");
}

TEST(SpeculationProfile, OtherFilesAreRefused) {
  expect_refused("", "no JSON");
  expect_refused("[0.5, 0.25]", "no JSON object (found array)");
  expect_refused(R"({"conditional_acceptance_rates": [NaN]})", "no JSON");
  expect_refused(std::string((1 << 20) + 1, ' '), "too large");
  for (const char* path : {"/nowhere/moecarlo-speculation_profile-.json", "/"}) {
    try {
      read_speculation_profile(path);
      ADD_FAILURE() << path;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::input);
      EXPECT_THAT(error.what(), HasSubstr("cannot be read"));
    }
  }
}

}  // namespace
}  // namespace moecarlo
