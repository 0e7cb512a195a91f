#if !defined(MOECARLO_CHECKED)
#define MOECARLO_CHECKED
#endif
#include <gtest/gtest.h>

#include "cuda/core/drawn_routing.hpp"

namespace moecarlo {
namespace {

// What the fields of a draw's address cannot hold would give the draws of another address.
TEST(Expectations, EndTheProgramWhereAnAddressCarriesIntoTheFieldBesideIt) {
  DrawAddress at;
  at.round = DrawAddress::kRounds - 1;
  at.request = DrawAddress::kRequests - 1;
  at.column = DrawAddress::kColumns - 1;
  at.layer = DrawAddress::kLayers - 1;
  at.block(DrawAddress::kBlocks - 1);
  EXPECT_DEATH(at.block(DrawAddress::kBlocks), "expected column < kColumns && q < kBlocks");
  const auto with = [&](std::uint32_t DrawAddress::*field) {
    DrawAddress other = at;
    ++(other.*field);
    return other;
  };
  EXPECT_DEATH(with(&DrawAddress::round).block(0), "random.hpp:[0-9]+: expected round < kRounds");
  EXPECT_DEATH(with(&DrawAddress::request).block(0), "request < kRequests");
  EXPECT_DEATH(with(&DrawAddress::column).block(0), "column < kColumns");
  EXPECT_DEATH(with(&DrawAddress::layer).block(0), "layer < kLayers");
}

TEST(Expectations, EndTheProgramWhereASetHasNoSuchMember) {
  ExpertMask<2> set;
  set.insert(127);
  EXPECT_EQ(nth_member(set, 0), 127U);
  EXPECT_DEATH(set.insert(128), "expert < 64U \\* Words");
  EXPECT_DEATH(nth_member(set, 1), "index < set.count");
  EXPECT_DEATH(highest_bit(0), "word != 0");
  EXPECT_DEATH(uniform_below(0, 1, 1), "n > 0");
}

}  // namespace
}  // namespace moecarlo
