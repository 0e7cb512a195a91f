#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "host/support/error.hpp"

namespace moecarlo::testing {

/// Expects an `Error` of this kind, one line that holds `message`.
template <class Read>
void expect_error(const Read& read, const std::string& message, ErrorKind kind = ErrorKind::input) {
  try {
    read();
    ADD_FAILURE() << "accepted, expected: " << message;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_THAT(error.what(), ::testing::HasSubstr(message));
    EXPECT_THAT(error.what(), ::testing::Not(::testing::HasSubstr("\n")));
  }
}

}  // namespace moecarlo::testing
