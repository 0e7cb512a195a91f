#include "host/report/results/json_text.hpp"

#include <fmt/compile.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <nlohmann/json.hpp>

#include "host/support/json_file.hpp"

namespace moecarlo {

namespace {

struct Digits {
  char text[40];
  std::size_t size = 0;
};

Digits exact(double value) {
  Digits digits;
  digits.size = static_cast<std::size_t>(fmt::format_to(digits.text, FMT_COMPILE("{}"), value) - digits.text);
  return digits;
}

}  // namespace

void append_exact(std::string& text, double value) {
  const Digits digits = exact(value);
  text.append(digits.text, digits.size);
}

JsonText& JsonText::open(char bracket) {
  separate();
  text_ += bracket;
  return *this;
}

JsonText& JsonText::close(char bracket) {
  text_ += bracket;
  return *this;
}

JsonText& JsonText::key(std::string_view name) {
  separate();
  ((text_ += '"') += name) += "\":";
  return *this;
}

JsonText& JsonText::number(double value) {
  separate();
  if (!std::isfinite(value)) {
    text_ += "null";
    return *this;
  }
  Digits digits = exact(value);
  // A number that happens to be whole stays a floating-point number for readers that tell them apart.
  const std::string_view written(digits.text, digits.size);
  if (written.find('.') == std::string_view::npos && written.find('e') == std::string_view::npos) {
    digits.text[digits.size++] = '.';
    digits.text[digits.size++] = '0';
  }
  text_.append(digits.text, digits.size);
  return *this;
}

JsonText& JsonText::number(std::optional<double> value) {
  return value ? number(*value) : raw("null");
}

JsonText& JsonText::whole(std::uint64_t value) {
  separate();
  text_ += std::to_string(value);
  return *this;
}

JsonText& JsonText::text(std::string_view value) {
  const bool plain =
      std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
  if (!plain) return raw(json_line(nlohmann::json(value)));
  separate();
  ((text_ += '"') += value) += '"';
  return *this;
}

JsonText& JsonText::raw(std::string_view json) {
  separate();
  text_ += json;
  return *this;
}

/// A comma after whatever ends a value: a bracket, a quote, a digit, or a letter of null.
void JsonText::separate() {
  if (text_.empty()) return;
  const char last = text_.back();
  if (last == '}' || last == ']' || last == '"' || std::isalnum(static_cast<unsigned char>(last)) != 0) text_ += ',';
}

}  // namespace moecarlo
