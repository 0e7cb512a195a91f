#include "host/weights/weights_reader.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <tuple>

#include "host/support/float16.hpp"
#include "host/support/hdf5_names.hpp"

namespace moecarlo {
namespace {

constexpr const char* kSchema = "moecarlo-weights";
constexpr std::int64_t kSchemaVersion = 1;
constexpr std::size_t kLongestText = std::size_t{1} << 16;
constexpr std::uint64_t kMostColumns = std::uint64_t{1} << 17;
constexpr std::array<Projection, 3> kProjections{Projection::gate, Projection::up, Projection::down};

hdf5::Group open_matrices(const std::filesystem::path& path, std::string& model, std::string& source) {
  const hdf5::Group root = hdf5::open_file(path);
  if (const std::string schema = root.read_string("schema"); schema != kSchema) {
    fail(ErrorKind::input, "{}: wrong schema (expected {}, found {})", root.name_of("@schema"), kSchema, schema);
  }
  if (const std::int64_t version = root.read_integer("schema_version"); version != kSchemaVersion) {
    fail(ErrorKind::input, "{}: unknown version (expected {}, found {})", root.name_of("@schema_version"),
         kSchemaVersion, version);
  }
  constexpr std::array<std::string_view, 6> attributes{"created_by", "licence",        "model",
                                                       "schema",     "schema_version", "source"};
  constexpr std::array<std::string_view, 1> members{"matrices"};
  hdf5::attributes_not_read(root, attributes);  // others say where it comes from
  hdf5::expect_members(root, members);
  model = printable(root.read_string("model"));
  source = printable(root.read_string("source"), kLongestText);
  return root.open_group("matrices");
}

std::uint32_t read_number(const hdf5::Group& group, const std::string& attribute) {
  const std::int64_t number = group.read_integer(attribute);
  if (number < 0 || number > 65535) {
    fail(ErrorKind::input, "{}: out of range (expected 0 to 65535, found {})", group.name_of("@" + attribute), number);
  }
  return static_cast<std::uint32_t>(number);
}

Projection read_projection(const hdf5::Group& group) {
  const std::string name = group.read_string("projection");
  for (const Projection projection : kProjections) {
    if (name == to_string(projection)) return projection;
  }
  fail(ErrorKind::input, "{}: unknown projection (expected gate, up or down, found {})", group.name_of("@projection"),
       name);
}

hdf5::Dataset open_element(const hdf5::Group& group, const std::string& member, hdf5::Element element) {
  hdf5::Dataset dataset = group.open_dataset(member);
  if (dataset.element() != element) {
    fail(ErrorKind::input, "{}: wrong type (expected {}, found {})", dataset.name(), hdf5::to_string(element),
         hdf5::to_string(dataset.element()));
  }
  return dataset;
}

std::uint64_t scales_in(std::uint64_t columns) {
  return (columns + kScaleGroup - 1) / kScaleGroup;
}

MatrixInfo read_info(const hdf5::Group& matrices, const std::string& name) {
  const hdf5::Group group = matrices.open_group(name);
  constexpr std::array<std::string_view, 3> attributes{"expert", "layer", "projection"};
  constexpr std::array<std::string_view, 3> members{"int8", "original", "scale"};
  hdf5::expect_attributes(group, attributes);
  hdf5::expect_members(group, members);
  MatrixInfo info;
  info.name = name;
  info.layer = read_number(group, "layer");
  info.expert = read_number(group, "expert");
  info.projection = read_projection(group);
  const hdf5::Dataset weights = open_element(group, "int8", hdf5::Element::int8);
  if (weights.extents().size() != 2 || weights.rows() == 0 || weights.row_elements() == 0) {
    fail(ErrorKind::input, "{}: wrong extents (expected [rows, columns], both above 0)", weights.name());
  }
  if (weights.row_elements() > kMostColumns) {
    fail(ErrorKind::input, "{}: too many columns (expected at most {}, found {})", weights.name(), kMostColumns,
         weights.row_elements());
  }
  info.rows = weights.rows();
  info.columns = weights.row_elements();
  hdf5::expect_extents(open_element(group, "scale", hdf5::Element::float16), {info.rows, scales_in(info.columns)},
                       "[rows, columns / 32]");
  info.has_original = group.has("original");
  if (info.has_original) {
    hdf5::expect_extents(group.open_dataset("original"), {info.rows, info.columns}, "[rows, columns]");
  }
  return info;
}

auto key_of(const MatrixInfo& info) {
  return std::tuple(info.layer, info.projection, info.expert);
}

void check_neighbours(const hdf5::Group& matrices, const MatrixInfo& one, const MatrixInfo& next) {
  if (one.layer != next.layer || one.projection != next.projection) return;
  if (one.expert == next.expert) {
    fail(ErrorKind::input, "{}: expert {}'s {} matrix of layer {} a second time (first {})",
         matrices.name_of(next.name), next.expert, to_string(next.projection), next.layer, one.name);
  }
  if (one.rows != next.rows || one.columns != next.columns) {
    fail(ErrorKind::input, "{}: another shape than {} (expected {} x {}, found {} x {})", matrices.name_of(next.name),
         one.name, one.rows, one.columns, next.rows, next.columns);
  }
}

void check_weights(const hdf5::Dataset& dataset, const WeightMatrix& matrix) {
  const auto lowest = std::find(matrix.weights.begin(), matrix.weights.end(), std::int8_t{-128});
  if (lowest == matrix.weights.end()) return;
  fail(ErrorKind::input, "{}: value out of range at {} (expected -127 to 127, found -128)", dataset.name(),
       dataset.position(0, static_cast<std::uint64_t>(lowest - matrix.weights.begin())));
}

void check_scales(const hdf5::Dataset& dataset, const WeightMatrix& matrix) {
  for (std::uint64_t i = 0; i < matrix.scales.size(); ++i) {
    const std::uint16_t scale = matrix.scales[i];
    if (scale != 0 && scale < 0x7C00U) continue;
    if (scale != 0) {
      fail(ErrorKind::input, "{}: scale at {} is no finite number of at least 0 (found {})", dataset.name(),
           dataset.position(0, i),
           float16_is_finite(scale) ? fmt::format("{}", float16_to_float(scale)) : "NaN or infinity");
    }
    const std::uint64_t row = i / matrix.groups(), column = i % matrix.groups() * kScaleGroup;
    const auto first = matrix.weights.begin() + static_cast<std::ptrdiff_t>(row * matrix.columns + column);
    const auto end = first + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(kScaleGroup, matrix.columns - column));
    if (std::all_of(first, end, [](std::int8_t weight) { return weight == 0; })) continue;
    fail(ErrorKind::input, "{}: scale 0 at {} of weights that are not all 0", dataset.name(), dataset.position(0, i));
  }
}

}  // namespace

const char* to_string(Projection projection) {
  switch (projection) {
    case Projection::gate:
      return "gate";
    case Projection::up:
      return "up";
    case Projection::down:
      break;
  }
  return "down";
}

WeightsReader::WeightsReader(const std::filesystem::path& path)
    : path_(path.string()), group_(open_matrices(path, model_, source_)) {
  for (const std::string& name : group_.members()) matrices_.push_back(read_info(group_, name));
  if (matrices_.empty()) fail(ErrorKind::input, "{}: no matrix (expected at least one)", group_.name_of(""));
  std::sort(matrices_.begin(), matrices_.end(),
            [](const MatrixInfo& a, const MatrixInfo& b) { return key_of(a) < key_of(b); });
  for (std::size_t i = 1; i < matrices_.size(); ++i) check_neighbours(group_, matrices_[i - 1], matrices_[i]);
}

WeightMatrix WeightsReader::read(const MatrixInfo& info) const {
  const hdf5::Group group = group_.open_group(info.name);
  const hdf5::Dataset weights = group.open_dataset("int8"), scales = group.open_dataset("scale");
  WeightMatrix matrix{info.rows, info.columns, std::vector<std::int8_t>(info.rows * info.columns), {}};
  matrix.scales.resize(info.rows * matrix.groups());
  weights.read_rows(0, info.rows, matrix.weights.data());
  scales.read_rows(0, info.rows, matrix.scales.data());
  check_weights(weights, matrix);
  check_scales(scales, matrix);
  return matrix;
}

std::vector<float> WeightsReader::read_original(const MatrixInfo& info) const {
  if (!info.has_original) return {};
  const hdf5::Dataset dataset = group_.open_group(info.name).open_dataset("original");
  const std::uint64_t step = std::max<std::uint64_t>(1, (std::uint64_t{1} << 22) / info.columns);
  std::vector<float> original;
  for (std::uint64_t first = 0; first < info.rows; first += step) {
    const std::vector<float> rows = dataset.read_floats(first, std::min(step, info.rows - first));
    original.insert(original.end(), rows.begin(), rows.end());
  }
  return original;
}

OriginalError original_error(const WeightMatrix& matrix, const std::vector<float>& original) {
  OriginalError error;
  for (std::uint64_t i = 0; i < original.size(); ++i) {
    const std::uint64_t row = i / matrix.columns, column = i % matrix.columns;
    const double scale = float16_to_float(matrix.scales[row * matrix.groups() + column / kScaleGroup]);
    const double difference = original[i] - scale * matrix.weights[i];
    error.signal += static_cast<double>(original[i]) * original[i];
    error.noise += difference * difference;
  }
  return error;
}

}  // namespace moecarlo
