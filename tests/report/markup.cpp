#include "tests/report/markup.hpp"

#include <regex>
#include <stdexcept>

namespace moecarlo {
namespace {

void check_text(const std::string& text) {
  static const std::regex entity("&(amp|lt|gt|quot|#[0-9]+);");
  const std::string bare = std::regex_replace(text, entity, "");
  if (bare.find('&') != std::string::npos) throw std::runtime_error("bare & in: " + text.substr(0, 80));
}

Tag parse_tag(const std::string& inside) {
  static const std::regex shape(R"(^([A-Za-z][A-Za-z0-9]*)((\s+[A-Za-z0-9_:-]+="[^"<]*")*)\s*$)");
  static const std::regex attribute(R"(([A-Za-z0-9_:-]+)="([^"<]*)\")");
  std::smatch match;
  if (!std::regex_match(inside, match, shape)) throw std::runtime_error("not a tag: <" + inside.substr(0, 80) + ">");
  Tag tag{match[1], {}};
  const std::string rest = match[2];
  for (std::sregex_iterator found(rest.begin(), rest.end(), attribute), end; found != end; ++found) {
    check_text((*found)[2]);
    if (!tag.attributes.emplace((*found)[1], (*found)[2]).second)
      throw std::runtime_error("attribute twice: " + inside);
  }
  return tag;
}

}  // namespace

std::vector<Tag> tags_of(const std::string& xml) {
  std::vector<Tag> tags;
  std::vector<std::string> open;
  std::size_t at = 0;
  while (at < xml.size()) {
    const auto begin = xml.find('<', at);
    check_text(xml.substr(at, begin - at));
    if (begin == std::string::npos) break;
    const auto end = xml.find('>', begin);
    if (end == std::string::npos) throw std::runtime_error("tag without end");
    std::string inside = xml.substr(begin + 1, end - begin - 1);
    at = end + 1;
    if (inside == "!DOCTYPE html") continue;
    if (inside.front() == '/') {
      if (open.empty() || open.back() != inside.substr(1))
        throw std::runtime_error("</" + inside.substr(1) + "> closes nothing");
      open.pop_back();
      continue;
    }
    const bool closed = inside.back() == '/';
    if (closed) inside.pop_back();
    tags.push_back(parse_tag(inside));
    if (!closed) open.push_back(tags.back().name);
    if (tags.back().name == "style") at = xml.find("</style>", at);
  }
  if (!open.empty()) throw std::runtime_error("<" + open.back() + "> is never closed");
  return tags;
}

std::vector<Tag> tags_named(const std::vector<Tag>& tags, const std::string& name) {
  std::vector<Tag> named;
  for (const Tag& tag : tags) {
    if (tag.name == name) named.push_back(tag);
  }
  return named;
}

}  // namespace moecarlo
