#include "host/support/hdf5.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "host/support/float16.hpp"
#include "host/support/hdf5_reader.hpp"

namespace moecarlo::hdf5 {

void start_reading() {
  launcher::start();
}

Group open_file(const std::filesystem::path& path) {
  return {std::make_shared<Reader>(path), 0, "/"};
}

Group::Group(std::shared_ptr<Reader> reader, std::uint64_t number, std::string path)
    : reader_(std::move(reader)), number_(reader_->group_number(number)), path_(std::move(path)) {}

std::string Group::name_of(std::string_view member) const {
  return fmt::format("{}: {}{}", reader_->name(), path_, member);
}

bool Group::has(const std::string& member) const {
  return reader_->ask_number(Question::has, *number_, member) != 0;
}

std::vector<std::string> Group::members() const {
  return reader_->ask_texts(Question::members, *number_, "");
}

std::vector<std::string> Group::attributes() const {
  return reader_->ask_texts(Question::attributes, *number_, "");
}

std::vector<std::string> Group::read_strings(const std::string& member) const {
  return reader_->ask_texts(Question::read_strings, *number_, member);
}

Group Group::open_group(const std::string& member) const {
  return {reader_, reader_->ask_number(Question::open_group, *number_, member), path_ + member + "/"};
}

Dataset Group::open_dataset(const std::string& member) const {
  return reader_->open_dataset(*number_, member, name_of(member));
}

bool Group::has_attribute(const std::string& attribute) const {
  return reader_->ask_number(Question::has_attribute, *number_, attribute) != 0;
}

std::string Group::read_string(const std::string& attribute) const {
  return reader_->ask_text(Question::read_string, *number_, attribute);
}

std::int64_t Group::read_integer(const std::string& attribute) const {
  return static_cast<std::int64_t>(reader_->ask_number(Question::read_integer, *number_, attribute));
}

std::vector<float> Group::read_floats(const std::string& dataset, const std::string& attribute) const {
  const std::string bytes = reader_->ask_text(Question::read_floats, *number_, dataset + "@" + attribute);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

std::uint64_t Dataset::row_elements() const {
  std::uint64_t elements = 1;
  for (std::size_t i = 1; i < extents_.size(); ++i) elements *= extents_[i];
  return elements;
}

/// Zeros shrink a thousandfold: a small file could fill the memory with what is read from it at once.
void Dataset::expect_worth_reading(std::uint64_t elements, std::uint64_t element_bytes) const {
  constexpr std::uint64_t always = std::uint64_t{128} << 20, times_the_file = 64;
  const std::uint64_t most = std::max(always, times_the_file * reader_->file_bytes());
  if (elements > most / element_bytes) {
    fail(ErrorKind::input, "{}: absurd compression (expected at most {} bytes in a file of {}, found {})", name_, most,
         reader_->file_bytes(), elements * element_bytes);
  }
}

void Dataset::read_rows(std::uint64_t first, std::uint64_t count, void* out) const {
  const std::uint64_t row_bytes = row_elements() * size_in_bytes(element_);
  if (count * row_bytes == 0) return;
  if (first > rows() || count > rows() - first) throw std::out_of_range("rows past the end of a dataset");
  if (data_.size() == rows() * row_bytes) {
    std::memcpy(out, data_.data() + first * row_bytes, count * row_bytes);
  } else {
    reader_->read_rows(*this, {first, count, static_cast<char*>(out)});
  }
}

std::vector<float> Dataset::read_floats(std::uint64_t first, std::uint64_t count) const {
  if (element_ != Element::float16 && element_ != Element::float32) {
    fail(ErrorKind::input, "{}: wrong type (expected float16 or float32, found {})", name_, to_string(element_));
  }
  expect_worth_reading(count * row_elements(), sizeof(float));
  std::vector<float> values(count * row_elements());
  if (element_ == Element::float32) {
    read_rows(first, count, values.data());
  } else {
    // Converted here because the library takes two hundred times longer over it (HDF5 1.10, measured).
    std::vector<std::uint16_t> stored(values.size());
    read_rows(first, count, stored.data());
    for (std::size_t i = 0; i < stored.size(); ++i) {
      values[i] = float16_is_finite(stored[i]) ? float16_to_float(stored[i]) : std::numeric_limits<float>::infinity();
    }
  }
  const auto bad = std::find_if_not(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
  if (bad != values.end()) {
    const auto element = static_cast<std::uint64_t>(bad - values.begin());
    fail(ErrorKind::input, "{}: NaN or infinite value at {}", name_, position(first, element));
  }
  return values;
}

std::string Dataset::position(std::uint64_t first, std::uint64_t element) const {
  std::vector<std::uint64_t> indices(extents_.size());
  for (std::size_t i = extents_.size(); i-- > 1; element /= extents_[i]) indices[i] = element % extents_[i];
  if (!indices.empty()) indices[0] = first + element;
  return fmt::format("[{}]", fmt::join(indices, ", "));
}

void expect_extents(const Dataset& dataset, const std::vector<std::uint64_t>& expected, std::string_view shape) {
  if (dataset.extents() == expected) return;
  fail(ErrorKind::input, "{}: wrong extents (expected {} = [{}], found [{}])", dataset.name(), shape,
       fmt::join(expected, ", "), fmt::join(dataset.extents(), ", "));
}

}  // namespace moecarlo::hdf5
