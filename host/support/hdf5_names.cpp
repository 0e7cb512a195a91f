#include "host/support/hdf5_names.hpp"

#include <algorithm>

#include "host/support/nearest_name.hpp"
#include "host/support/printable.hpp"

namespace moecarlo::hdf5 {
namespace {

std::vector<std::string> not_read(const Group& group, const std::string& mark, const std::vector<std::string>& names,
                                  Names known) {
  constexpr std::size_t most = 4096;
  std::vector<std::string> others;
  for (const std::string& name : names) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    if (others.size() == most)
      fail(ErrorKind::input, "{}: too many names (expected at most {})", group.name_of(""), most);
    if (const std::string meant = is_it(name, known); !meant.empty())
      fail(ErrorKind::input, "{}: unknown{}", group.name_of(mark + name), meant);
    others.push_back(mark + printable(name));
  }
  return others;
}

void refuse_first(const Group& group, const std::vector<std::string>& others, Names known) {
  if (others.empty()) return;
  fail(ErrorKind::input, "{}: unknown (expected {})", group.name_of(others.front()), fmt::join(known, ", "));
}

}  // namespace

std::vector<std::string> members_not_read(const Group& group, Names known) {
  return not_read(group, "", group.members(), known);
}

std::vector<std::string> attributes_not_read(const Group& group, Names known) {
  return not_read(group, "@", group.attributes(), known);
}

void expect_members(const Group& group, Names known) {
  refuse_first(group, members_not_read(group, known), known);
}

void expect_attributes(const Group& group, Names known) {
  refuse_first(group, attributes_not_read(group, known), known);
}

}  // namespace moecarlo::hdf5
