#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "host/support/error.hpp"
#include "host/trace/trace_reader.hpp"
#include "tests/trace/trace_builder.hpp"

namespace moecarlo::testing {

inline void read_everything(const std::filesystem::path& path) {
  const TraceReader reader(path);
  const Choices choices = reader.read_choices(0, reader.info().tokens);
  reader.read_weights(0, choices);
  reader.read_token_ids(0, reader.info().tokens);
  reader.check_extras();
}

// The one line that a refused file gives; it must name the file.
inline std::string refusal(const std::filesystem::path& path) {
  try {
    read_everything(path);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input) << error.what();
    EXPECT_THAT(error.what(), ::testing::HasSubstr(path.string()));
    EXPECT_THAT(error.what(), ::testing::Not(::testing::HasSubstr("\n")));
    return error.what();
  }
  return "accepted";
}

struct BrokenRule {
  const char* name = "";
  std::function<void(hid_t file)> spoil;
  std::vector<const char*> message;  ///< parts of the line: object and rule
  bool logits = false;               ///< start from the logit trace
};

inline void PrintTo(const BrokenRule& rule, std::ostream* out) {
  *out << rule.name;
}

inline std::string name_of(const ::testing::TestParamInfo<BrokenRule>& rule) {
  return rule.param.name;
}

/// Breaks one rule in a valid trace and expects the line that names it.
inline void expect_refused(const BrokenRule& rule) {
  const ScratchFolder folder;
  const auto path = folder / "broken.h5";
  const auto line = refusal(rule.logits ? make_logit_trace(path, rule.spoil) : make_id_trace(path, rule.spoil));
  for (const char* part : rule.message) EXPECT_THAT(line, ::testing::HasSubstr(part));
}

}  // namespace moecarlo::testing
