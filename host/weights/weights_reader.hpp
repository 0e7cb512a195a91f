#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "host/support/hdf5.hpp"
#include "host/weights/weight_matrix.hpp"

namespace moecarlo {

enum class Projection { gate, up, down };
const char* to_string(Projection projection);

/// One matrix of a weights file.
struct MatrixInfo {
  std::string name;
  std::uint32_t layer = 0, expert = 0;
  Projection projection = Projection::gate;
  std::uint64_t rows = 0, columns = 0;
  bool has_original = false;
};

/// INT8 against the weights that it was made of.
struct OriginalError {
  double signal = 0;  ///< sum of squares of the original weights
  double noise = 0;   ///< sum of squares of what the INT8 weights, scaled, differ by
};

/// A weights file, HDF5. The root has the attributes `schema` = "moecarlo-weights", `schema_version` = 1, `model` and
/// `source`; each group /matrices/<name> is a matrix with the attributes `layer`, `expert` (integers) and `projection`
/// (gate, up, down) and the datasets
///
///   int8      int8 [rows, columns], -127 .. 127; columns are inputs
///   scale     float16 [rows, columns / 32, rounded up], at least 0: one for 32 consecutive weights of a row
///   original  float16 or float32 [rows, columns], may be missing
///
/// Every failure is an `Error` of kind input that names the place.
class WeightsReader {
 public:
  explicit WeightsReader(const std::filesystem::path& path);

  const std::string& path() const { return path_; }
  const std::string& model() const { return model_; }
  const std::string& source() const { return source_; }
  /// By layer, projection and expert. Those of one layer and projection are of one shape, no expert twice.
  const std::vector<MatrixInfo>& matrices() const { return matrices_; }

  WeightMatrix read(const MatrixInfo& info) const;
  /// [rows][columns]; empty where there is no original.
  std::vector<float> read_original(const MatrixInfo& info) const;

 private:
  std::string path_, model_, source_;
  hdf5::Group group_;
  std::vector<MatrixInfo> matrices_;
};

/// `original`: [rows][columns] of the same matrix.
OriginalError original_error(const WeightMatrix& matrix, const std::vector<float>& original);

}  // namespace moecarlo
