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

SpeculationProfile read(const std::string& text) {
  const ProfileFile file(text);
  return read_speculation_profile(file.path());
}

std::vector<double> rates(const std::string& text) {
  return read(text).conditional;
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
  EXPECT_THAT(rates(R"({"conditional_accept_rates": [0.8, 0.9, 1, 0]})"), ElementsAre(0.8, 0.9, 1.0, 0.0));
  EXPECT_THAT(rates(R"({"target_model": "m", "marginal_accept_rates": null, "conditional_accept_rates": [0.5]})"),
              ElementsAre(0.5));
}

TEST(SpeculationProfile, MarginalRatesBecomeRatios) {
  EXPECT_THAT(rates(R"({"marginal_accept_rates": [0.8, 0.6, 0.6, 0.15, 0, 0]})"),
              ElementsAre(0.8, DoubleEq(0.6 / 0.8), 1.0, DoubleEq(0.15 / 0.6), 0.0, 0.0));
}

TEST(SpeculationProfile, HistogramCountsTheBonusTokenAndIsPreferred) {
  EXPECT_THAT(rates(R"({"acceptance_length_histogram": {"1": 40, "2": 30, "3": 30}, "num_speculative_tokens": 3})"),
              ElementsAre(DoubleEq(0.6), DoubleEq(0.5), 0.0));
  EXPECT_THAT(rates(R"({"acceptance_length_histogram": {"3": 1, "1": 2}, "conditional_accept_rates": [0.334, 1]})"),
              ElementsAre(DoubleEq(1.0 / 3), 1.0));
}

TEST(SpeculationProfile, BothListsBesideAHistogramAsToolsWriteThem) {
  const auto read_rates = rates(R"({"schema_version": "1.0", "measured": true, "method": "eagle3",
      "num_speculative_tokens": 3, "conditional_accept_rates": [0.816, 0.776961, 0.749211],
      "marginal_accept_rates": [0.816, 0.634, 0.475], "mean_accept_length": 2.925,
      "acceptance_length_histogram": {"1": 184, "2": 182, "3": 159, "4": 475}})");
  ASSERT_EQ(read_rates.size(), 3U);
  const double accepted = read_rates[0] * (1 + read_rates[1] * (1 + read_rates[2]));
  EXPECT_NEAR(accepted, 1.925, 1e-12);
}

TEST(SpeculationProfile, ZerosOfEarlyWritersAtUnseenLengthsAreLeftAside) {
  const SpeculationProfile profile =
      read(R"({"acceptance_length_histogram": {"1": 50, "3": 50}, "marginal_accept_rates": [0, 0.5, 0],
               "num_speculative_tokens": 3})");
  EXPECT_THAT(profile.conditional, ElementsAre(0.5, 1.0, 0.0));
  EXPECT_THAT(profile.notes, ElementsAre(HasSubstr("marginal_accept_rates hold 0 in place of 1 rates")));
}

TEST(SpeculationProfile, RunsOfTheirOwnForEveryLengthAreNoted) {
  EXPECT_THAT(read(R"({"conditional_accept_rates": [0.5], "accept_length_model": "measured_per_k"})").notes,
              ElementsAre(HasSubstr("measured_per_k")));
  EXPECT_THAT(read(R"({"conditional_accept_rates": [0.5], "accept_length_model": "chain"})").notes, ElementsAre());
}

TEST(SpeculationProfile, WhatWasNotMeasuredIsRefused) {
  expect_refused(R"({"schema_version": "1.0", "measured": false})", "measured: false");
  expect_refused(R"({"measured": true, "method": "none", "conditional_accept_rates": [0]})", "method: \"none\"");
  expect_refused(R"({"measured": "yes", "conditional_accept_rates": [0]})", "measured: expected true or false");
  expect_refused(R"({"schema_version": "2.0", "conditional_accept_rates": [0]})", "schema_version: expected");
  expect_refused("{}", "no rates");
  expect_refused(R"({"verification_method": "block", "conditional_accept_rates": null})", "no rates");
}

TEST(SpeculationProfile, UnknownAndMisspeltKeysAreRefused) {
  expect_refused(R"({"conditional_accept_rates": [0.5], "mystery": 1})", "\"mystery\": unknown key");
  expect_refused(R"({"conditional_acceptance_rates": [0.5]})",
                 "\"conditional_acceptance_rates\": unknown key (is it conditional_accept_rates?)");
  expect_refused(R"({"acceptance_rates": [0.8, 0.6]})", "unknown key");
}

TEST(SpeculationProfile, ContradictionsAreRefused) {
  expect_refused(R"({"conditional_accept_rates": [0.8, 0.5], "marginal_accept_rates": [0.8, 0.5]})",
                 "contradicts conditional_accept_rates at position 1 (expected 0.4000, found 0.5000)");
  expect_refused(R"({"conditional_accept_rates": [0.8, 0.5], "marginal_accept_rates": [0.8]})",
                 "as many as conditional_accept_rates = 2, found 1");
  expect_refused(R"({"acceptance_length_histogram": {"1": 1, "2": 1}, "marginal_accept_rates": [0.6]})",
                 "contradicts acceptance_length_histogram at position 0 (expected 0.5000, found 0.6000)");
  expect_refused(R"({"acceptance_length_histogram": {"1": 1, "2": 1}, "conditional_accept_rates": [0]})",
                 "contradicts acceptance_length_histogram at position 0");
  expect_refused(R"({"conditional_accept_rates": [0.5], "mean_accept_length": 1.6})",
                 "mean_accept_length: contradicts the rates (expected 1.500, found 1.600)");
  expect_refused(R"({"conditional_accept_rates": [0.5], "num_speculative_tokens": 2})",
                 "num_speculative_tokens = 2 rates, found 1");
  expect_refused(R"({"acceptance_length_histogram": {"4": 1}, "num_speculative_tokens": 2})", "expected 1 to 3");
}

TEST(SpeculationProfile, BrokenValuesAreRefused) {
  expect_refused(R"({"conditional_accept_rates": []})", "0 of them");
  expect_refused(R"({"conditional_accept_rates": 0.5})", "found number");
  expect_refused(R"({"conditional_accept_rates": {"0": 0.5}})", "found object");
  expect_refused(R"({"conditional_accept_rates": [0.5, 1.01]})", "found 1.01");
  expect_refused(R"({"conditional_accept_rates": [-0.1]})", "found -0.1");
  expect_refused(R"({"conditional_accept_rates": [0.5, "0.5"]})", "found string");
  expect_refused(R"({"conditional_accept_rates": [null]})", "found null");
  expect_refused(R"({"marginal_accept_rates": [0.5, 0.6]})", "rises at position 1");
  expect_refused(R"({"acceptance_length_histogram": {"1": 0, "2": 0}})", "at least one verification");
  expect_refused(R"({"acceptance_length_histogram": {"0": 1}})", "expected 1 to");
  expect_refused(R"({"acceptance_length_histogram": {"one": 1}})", "expected a whole number");
  expect_refused(R"({"acceptance_length_histogram": {"1": 2}})", "no draft token was ever accepted");
  expect_refused(R"({"acceptance_length_histogram": {"1": -2, "2": 1}})", "expected a whole number");
  std::string many = "[0.5";
  for (int i = 0; i < 255; ++i) many += ", 0.5";
  expect_refused(R"({"conditional_accept_rates": )" + many + "]}", "256 of them");
}

TEST(SpeculationProfile, OtherFilesAreRefused) {
  expect_refused("", "not valid JSON");
  expect_refused("[0.5, 0.25]", "no JSON object (found array)");
  expect_refused(R"({"conditional_accept_rates": [NaN]})", "not valid JSON");
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
