#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "host/report/results/summary.hpp"
#include "host/support/error.hpp"
#include "host/support/json_file.hpp"
#include "host/support/text_file.hpp"

namespace moecarlo {
namespace {

using Json = nlohmann::ordered_json;

/// Listens to a summary until its backend and its seconds have come, which is long before its end.
class RunFactsReader : public nlohmann::json_sax<Json> {
 public:
  bool complete() const { return backend_ && seconds_; }
  RunFacts facts() const { return {*backend_, *seconds_}; }
  const std::string& reason() const { return reason_; }

  bool null() override { return number(std::numeric_limits<double>::quiet_NaN()); }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t value) override { return number(static_cast<double>(value)); }
  bool number_unsigned(number_unsigned_t value) override { return number(static_cast<double>(value)); }
  bool number_float(number_float_t value, const string_t&) override { return number(value); }
  bool string(string_t& value) override {
    if (depth_ == 1 && key_ == "backend") backend_ = value;
    return !complete();
  }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return ++depth_ > 0; }
  bool end_object() override { return --depth_ >= 0; }
  bool start_array(std::size_t) override { return ++depth_ > 0; }
  bool end_array() override { return --depth_ >= 0; }
  bool key(string_t& value) override {
    if (depth_ == 1) key_ = value;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& error) override {
    reason_ = reason_of(error);
    return false;
  }

 private:
  bool number(double value) {
    if (depth_ == 1 && key_ == "seconds") seconds_ = value;
    return !complete();
  }

  int depth_ = 0;
  std::string key_, reason_;
  std::optional<std::string> backend_;
  std::optional<double> seconds_;
};

}  // namespace

RunFacts read_run_facts(const std::filesystem::path& path) {
  const std::string start = read_text_start(path, ErrorKind::input, "a summary.json", usual_json_bytes);
  RunFactsReader reader;
  // Reading ends early, and is then said to have failed, when both facts are known.
  if (!Json::sax_parse(start, &reader) && !reader.complete()) {
    fail(ErrorKind::input, "{}: not a readable summary ({})", path.string(), reader.reason());
  }
  if (!reader.complete()) fail(ErrorKind::input, "{}: not a readable summary (no backend and seconds)", path.string());
  return reader.facts();
}

}  // namespace moecarlo
