#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace moecarlo {

/// Appends the shortest decimal number that reads back as `value` bit for bit; `value` has to be finite.
void append_exact(std::string& text, double value);

/// Appends JSON to a text, from front to back and without a tree of values: a grid of ten thousand design points is
/// many megabytes. Commas are set where they belong; that brackets match and keys have values is up to the caller.
class JsonText {
 public:
  explicit JsonText(std::string& text) : text_(text) {}

  JsonText& open(char bracket);                   ///< { or [
  JsonText& close(char bracket);                  ///< } or ]
  JsonText& key(std::string_view name);           ///< of plain ASCII, without quotes and backslashes
  JsonText& number(double value);                 ///< null where it is not finite
  JsonText& number(std::optional<double> value);  ///< null where there is none
  JsonText& whole(std::uint64_t value);
  JsonText& text(std::string_view value);  ///< what is not UTF-8 becomes U+FFFD
  JsonText& raw(std::string_view json);    ///< a value that is JSON already

 private:
  void separate();

  std::string& text_;
};

}  // namespace moecarlo
