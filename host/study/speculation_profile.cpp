#include "host/study/speculation_profile.hpp"

#include <fmt/format.h>

#include <cctype>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "host/support/error.hpp"

namespace moecarlo {
namespace {

constexpr std::size_t largest_depth = 255;
constexpr std::uintmax_t largest_file = std::uintmax_t{1} << 20;

enum class Kind { conditional, marginal };

struct Key {
  const char* name;
  Kind kind;
};
constexpr Key keys[] = {
    {"conditional_acceptance_rates", Kind::conditional}, {"conditional_acceptance_rate", Kind::conditional},
    {"marginal_acceptance_rates", Kind::marginal},       {"marginal_acceptance_rate", Kind::marginal},
    {"joint_acceptance_rates", Kind::marginal},          {"joint_acceptance_rate", Kind::marginal}};

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

nlohmann::json parse(const std::filesystem::path& path) {
  std::ifstream stream(path);
  std::error_code ignored;
  const bool folder = std::filesystem::is_directory(path, ignored);
  if (!stream || folder) fail(ErrorKind::input, "{}: cannot be read (expected a JSON file)", path.string());
  std::string text;
  text.resize(largest_file + 1);
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > largest_file) {
    fail(ErrorKind::input, "{}: too large (expected at most {} bytes)", path.string(), largest_file);
  }
  nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded()) fail(ErrorKind::input, "{}: no JSON", path.string());
  if (!json.is_object()) {
    fail(ErrorKind::input, "{}: no JSON object (found {})", path.string(), json.type_name());
  }
  return json;
}

// The one list of rates, by the name the file gives it.
struct Rates {
  Kind kind = Kind::conditional;
  std::string where;  // for messages
  nlohmann::json list;
};

Rates find_rates(const std::filesystem::path& path, const nlohmann::json& json) {
  std::vector<Rates> found;
  for (const auto& [name, value] : json.items()) {
    const std::string wanted = lower(name);
    for (const Key& key : keys) {
      if (wanted == key.name) found.push_back({key.kind, fmt::format("{}: {}", path.string(), name), value});
    }
  }
  if (found.size() > 1) {
    fail(ErrorKind::input, "{}: ambiguous rates (expected one list, found {} beside {})", path.string(),
         found[0].where.substr(path.string().size() + 2), found[1].where.substr(path.string().size() + 2));
  }
  if (found.empty()) {
    fail(ErrorKind::input,
         "{}: ambiguous or no rates (expected a list named conditional_acceptance_rates, marginal_acceptance_rates or "
         "joint_acceptance_rates; no other name says which of the two it holds)",
         path.string());
  }
  return found[0];
}

std::vector<double> read_list(const Rates& rates) {
  if (!rates.list.is_array() || rates.list.empty() || rates.list.size() > largest_depth) {
    fail(ErrorKind::input, "{}: wrong value (expected a list of 1 to {} numbers, found {})", rates.where, largest_depth,
         rates.list.is_array() ? fmt::format("{} of them", rates.list.size()) : rates.list.type_name());
  }
  std::vector<double> values;
  for (const nlohmann::json& value : rates.list) {
    const bool number = value.is_number();
    if (!number || !(value.get<double>() >= 0 && value.get<double>() <= 1)) {
      fail(ErrorKind::input, "{}: value out of range at position {} (expected 0 to 1, found {})", rates.where,
           values.size(), number ? fmt::format("{}", value.get<double>()) : value.type_name());
    }
    values.push_back(value.get<double>());
  }
  return values;
}

std::vector<double> to_conditional(const Rates& rates, const std::vector<double>& marginal) {
  std::vector<double> conditional;
  double before = 1;
  for (const double rate : marginal) {
    if (rate > before) {
      fail(ErrorKind::input, "{}: marginal rate rises at position {} (expected at most {}, found {})", rates.where,
           conditional.size(), before, rate);
    }
    conditional.push_back(before > 0 ? rate / before : 0);
    before = rate;
  }
  return conditional;
}

}  // namespace

std::vector<double> read_speculation_profile(const std::filesystem::path& path) {
  const Rates rates = find_rates(path, parse(path));
  const std::vector<double> values = read_list(rates);
  return rates.kind == Kind::conditional ? values : to_conditional(rates, values);
}

}  // namespace moecarlo
