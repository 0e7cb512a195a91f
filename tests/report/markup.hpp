#pragma once

#include <map>
#include <string>
#include <vector>

namespace moecarlo {

/// One opening tag of a markup text.
struct Tag {
  std::string name;
  std::map<std::string, std::string> attributes;
};

/// The opening tags of an XML text, in order. Throws std::runtime_error where tags do not nest, attributes are not
/// quoted or a '<' or '&' stands alone: a small check of its own, so that no parser forgives.
std::vector<Tag> tags_of(const std::string& xml);

/// The tags of one name.
std::vector<Tag> tags_named(const std::vector<Tag>& tags, const std::string& name);

}  // namespace moecarlo
