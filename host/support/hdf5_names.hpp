#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/support/hdf5.hpp"

namespace moecarlo::hdf5 {

using Names = std::span<const std::string_view>;

/// Members, or attributes as "@name", of a group that are none of `known`: what its reader does not read, printable.
/// One that was probably meant to be of `known` is refused, and so is a group of more than 4096 others.
std::vector<std::string> members_not_read(const Group& group, Names known);
std::vector<std::string> attributes_not_read(const Group& group, Names known);

/// Refuses a group with any other.
void expect_members(const Group& group, Names known);
void expect_attributes(const Group& group, Names known);

}  // namespace moecarlo::hdf5
