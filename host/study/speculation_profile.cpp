#include "host/study/speculation_profile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "host/support/error.hpp"
#include "host/support/json_file.hpp"
#include "host/support/nearest_name.hpp"

namespace moecarlo {
namespace {

using nlohmann::json;

constexpr std::size_t largest_depth = 255;
constexpr std::uint64_t largest_file = std::uint64_t{1} << 20;
constexpr double rate_tolerance = 2e-3, mean_tolerance = 1e-2;

constexpr std::array<std::string_view, 19> known_keys{"schema_version",
                                                      "measured",
                                                      "method",
                                                      "draft_checkpoint",
                                                      "target_model",
                                                      "num_speculative_tokens",
                                                      "block_size",
                                                      "max_supported_k",
                                                      "verification_method",
                                                      "conditional_accept_rates",
                                                      "marginal_accept_rates",
                                                      "mean_accept_length",
                                                      "mean_accept_length_per_request",
                                                      "accept_length_model",
                                                      "accept_length_by_k",
                                                      "acceptance_length_histogram",
                                                      "per_category",
                                                      "measurement_conditions",
                                                      "validation"};

json parse(const std::filesystem::path& path) {
  json parsed = read_json<json>(path, "a JSON file", largest_file);
  if (!parsed.is_object()) {
    fail(ErrorKind::input, "{}: no JSON object (found {})", path.string(), parsed.type_name());
  }
  return parsed;
}

/// The keys of one profile.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : file_(path.string()), json_(parse(path)) {}

  bool has(const char* key) const { return json_.contains(key) && !json_[key].is_null(); }
  const json& at(const char* key) const { return json_[key]; }

  template <class... Args>
  [[noreturn]] void refuse(std::string_view key, fmt::format_string<Args...> format, Args&&... args) const {
    fail(ErrorKind::input, "{}: {}: {}", file_, key, fmt::format(format, std::forward<Args>(args)...));
  }

  /// True where the text is there and is this one.
  bool says(const char* key, std::string_view text) const {
    if (!has(key)) return false;
    if (!at(key).is_string()) refuse(key, "expected a text, found {}", at(key).type_name());
    return at(key).get_ref<const std::string&>() == text;
  }

  double number(const char* key, const json& value, double low, double high) const {
    const double found = value.is_number() ? value.get<double>() : std::nan("");
    if (!(found >= low && found <= high)) {
      refuse(key, "value out of range (expected {} to {}, found {})", low, high,
             value.is_number() ? fmt::format("{}", found) : value.type_name());
    }
    return found;
  }

  std::uint64_t whole(const char* key, const json& value, std::uint64_t low, std::uint64_t high) const {
    if (!value.is_number_unsigned()) {
      refuse(key, "expected a whole number from {} to {}, found {}", low, high, value.type_name());
    }
    return static_cast<std::uint64_t>(number(key, value, static_cast<double>(low), static_cast<double>(high)));
  }

  void refuse_unknown_keys() const {
    for (const auto& [name, value] : json_.items()) {
      if (std::find(known_keys.begin(), known_keys.end(), name) != known_keys.end()) continue;
      refuse(json(name).dump(-1, ' ', true, json::error_handler_t::replace), "unknown key{}", is_it(name, known_keys));
    }
  }

 private:
  std::string file_;
  json json_;
};

void refuse_unmeasured(const Reader& reader) {
  if (reader.has("schema_version")) {
    const json& version = reader.at("schema_version");
    if (!version.is_string() || version.get_ref<const std::string&>().rfind("1.", 0) != 0) {
      reader.refuse("schema_version", "expected \"1.0\", found another");
    }
  }
  if (reader.has("measured")) {
    if (!reader.at("measured").is_boolean()) reader.refuse("measured", "expected true or false");
    if (!reader.at("measured").get<bool>()) reader.refuse("measured", "false: the file holds no measurement");
  }
  if (reader.says("method", "none")) reader.refuse("method", "\"none\": nothing was drafted");
}

std::optional<std::size_t> stated_depth(const Reader& reader) {
  const char* key = "num_speculative_tokens";
  if (!reader.has(key)) return std::nullopt;
  return reader.whole(key, reader.at(key), 1, largest_depth);
}

/// A list of rates; none where it is absent or null.
std::vector<double> read_rates(const Reader& reader, const char* key) {
  std::vector<double> rates;
  if (!reader.has(key)) return rates;
  const json& list = reader.at(key);
  if (!list.is_array() || list.empty() || list.size() > largest_depth) {
    reader.refuse(key, "expected a list of 1 to {} rates, found {}", largest_depth,
                  list.is_array() ? fmt::format("{} of them", list.size()) : list.type_name());
  }
  for (const json& value : list) rates.push_back(reader.number(key, value, 0, 1));
  if (const auto depth = stated_depth(reader); depth && rates.size() != *depth) {
    reader.refuse(key, "expected num_speculative_tokens = {} rates, found {}", *depth, rates.size());
  }
  return rates;
}

/// Verifications by accepted length, 0 upwards; empty where there is no histogram.
std::vector<double> read_histogram(const Reader& reader) {
  const char* key = "acceptance_length_histogram";
  std::vector<double> counts;
  if (!reader.has(key)) return counts;
  if (!reader.at(key).is_object()) reader.refuse(key, "expected an object, found {}", reader.at(key).type_name());
  const auto depth = stated_depth(reader);
  if (depth) counts.resize(*depth + 1);
  double total = 0;
  for (const auto& [text, value] : reader.at(key).items()) {
    const json length = json::parse(text, nullptr, false);
    const std::uint64_t tokens = reader.whole(key, length, 1, depth.value_or(largest_depth) + 1);
    if (counts.size() < tokens) counts.resize(tokens);
    counts[tokens - 1] = static_cast<double>(reader.whole(key, value, 0, std::uint64_t{1} << 48));
    total += counts[tokens - 1];
  }
  if (total == 0) reader.refuse(key, "expected at least one verification");
  if (counts.size() < 2) reader.refuse(key, "no draft token was ever accepted, and no num_speculative_tokens");
  return counts;
}

/// P(length >= i + 2) of a histogram.
std::vector<double> marginal_of(const std::vector<double>& histogram) {
  double total = 0, longer = 0;
  for (const double count : histogram) total += count;
  std::vector<double> marginal(histogram.size() - 1);
  for (std::size_t i = marginal.size(); i-- > 0;) {
    longer += histogram[i + 1];
    marginal[i] = longer / total;
  }
  return marginal;
}

std::vector<double> marginal_of_conditional(const std::vector<double>& conditional) {
  std::vector<double> marginal;
  double reached = 1;
  for (const double rate : conditional) marginal.push_back(reached *= rate);
  return marginal;
}

std::vector<double> conditional_of(const std::vector<double>& marginal) {
  std::vector<double> conditional;
  double before = 1;
  for (const double rate : marginal) {
    conditional.push_back(before > 0 ? rate / before : 0);
    before = rate;
  }
  return conditional;
}

void require_falling(const Reader& reader, const std::vector<double>& marginal) {
  for (std::size_t i = 1; i < marginal.size(); ++i) {
    if (marginal[i] <= marginal[i - 1]) continue;
    reader.refuse("marginal_accept_rates", "rises at position {} (expected at most {}, found {})", i, marginal[i - 1],
                  marginal[i]);
  }
}

/// Both lists say the same: marginal = marginal before x conditional.
void require_agreement(const Reader& reader, const std::vector<double>& conditional,
                       const std::vector<double>& marginal) {
  for (std::size_t i = 0; i < marginal.size(); ++i) {
    const double follows = (i == 0 ? 1 : marginal[i - 1]) * conditional.at(i);
    if (std::abs(follows - marginal[i]) <= rate_tolerance) continue;
    reader.refuse("marginal_accept_rates",
                  "contradicts conditional_accept_rates at position {} (expected {:.4f}, found {:.4f})", i, follows,
                  marginal[i]);
  }
}

/// A list against the counts. 0 in place of a rate at a length without a count is left aside, and said.
void check_against(const Reader& reader, const char* key, const std::vector<double>& rates,
                   const std::vector<double>& expected, const std::vector<double>& histogram,
                   SpeculationProfile& profile) {
  std::size_t left_aside = 0;
  for (std::size_t i = 0; i < rates.size(); ++i) {
    const double wanted = i < expected.size() ? expected[i] : 0;
    if (std::abs(rates[i] - wanted) <= rate_tolerance) continue;
    const bool unseen = i + 1 >= histogram.size() || histogram[i + 1] == 0 || histogram[i] == 0;
    if (!unseen || (rates[i] != 0 && histogram[i + 1] == 0)) {
      reader.refuse(key, "contradicts acceptance_length_histogram at position {} (expected {:.4f}, found {:.4f})", i,
                    wanted, rates[i]);
    }
    ++left_aside;
  }
  if (left_aside == 0) return;
  profile.notes.push_back(fmt::format(
      "The speculation profile's {} hold 0 in place of {} rates at lengths without a count; the histogram was taken.",
      key, left_aside));
}

void check_mean(const Reader& reader, const std::vector<double>& marginal) {
  const char* key = "mean_accept_length";
  if (!reader.has(key)) return;
  double mean = 1;
  for (const double rate : marginal) mean += rate;
  const double stated = reader.number(key, reader.at(key), 0, largest_depth + 1);
  if (std::abs(stated - mean) > mean_tolerance) {
    reader.refuse(key, "contradicts the rates (expected {:.3f}, found {:.3f})", mean, stated);
  }
}

}  // namespace

SpeculationProfile read_speculation_profile(const std::filesystem::path& path) {
  const Reader reader(path);
  reader.refuse_unknown_keys();
  refuse_unmeasured(reader);
  const auto conditional = read_rates(reader, "conditional_accept_rates");
  const auto marginal = read_rates(reader, "marginal_accept_rates");
  const auto histogram = read_histogram(reader);
  SpeculationProfile profile;
  if (!histogram.empty()) {
    const auto counted = marginal_of(histogram);
    profile.conditional = conditional_of(counted);
    check_against(reader, "marginal_accept_rates", marginal, counted, histogram, profile);
    check_against(reader, "conditional_accept_rates", conditional, profile.conditional, histogram, profile);
    check_mean(reader, counted);
  } else {
    require_falling(reader, marginal);
    if (!conditional.empty() && !marginal.empty()) {
      if (conditional.size() != marginal.size())
        reader.refuse("marginal_accept_rates", "expected as many as conditional_accept_rates = {}, found {}",
                      conditional.size(), marginal.size());
      require_agreement(reader, conditional, marginal);
    }
    if (conditional.empty() && marginal.empty()) {
      reader.refuse("acceptance_length_histogram",
                    "no rates (expected this, conditional_accept_rates or marginal_accept_rates)");
    }
    profile.conditional = conditional.empty() ? conditional_of(marginal) : conditional;
    check_mean(reader, marginal_of_conditional(profile.conditional));
  }
  if (reader.says("accept_length_model", "measured_per_k")) {
    profile.notes.emplace_back(
        "The speculation profile measured every draft length in a run of its own (measured_per_k): its rates are not "
        "of one acceptance process.");
  }
  return profile;
}

}  // namespace moecarlo
