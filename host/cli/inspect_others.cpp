#include "host/cli/inspect_others.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "host/simulate/tallies.hpp"
#include "host/support/hdf5.hpp"
#include "host/weights/weights_reader.hpp"

namespace moecarlo::cli {
namespace {

using Json = nlohmann::ordered_json;

Json inspect_weights(const std::filesystem::path& path) {
  const WeightsReader reader(path);
  std::uint64_t weights = 0;
  std::set<std::uint32_t> layers, experts;
  for (const MatrixInfo& info : reader.matrices()) {
    const WeightMatrix matrix = reader.read(info);
    reader.read_original(info);
    weights += matrix.weights.size();
    layers.insert(info.layer);
    experts.insert(info.expert);
  }
  return {{"weights file", reader.path()},
          {"model", reader.model()},
          {"source", reader.source()},
          {"matrices", reader.matrices().size()},
          {"layers", layers.size()},
          {"experts", experts.size()},
          {"weights", weights}};
}

Json inspect_tallies(const std::filesystem::path& path) {
  Provenance provenance;
  std::vector<JointBins> joints;
  const Tallies tallies = read_tallies(path, provenance, joints);
  return {{"tallies", path.string()},
          {"program", provenance.program},
          {"finished", provenance.finished},
          {"trajectories", tallies.trajectories},
          {"shard", tallies.shard.index},
          {"shards", tallies.shard.count},
          {"cells", tallies.shape.cells.size()},
          {"layers", tallies.shape.layers},
          {"experts", tallies.shape.experts}};
}

/// Counts of bit slices: integers of every matrix. Read a piece at a time, for they are only looked at.
Json inspect_counts(const std::filesystem::path& path) {
  const hdf5::Group root = hdf5::open_file(path);
  const std::uint64_t matrices = root.open_dataset("layer").rows();
  for (const std::string& name : root.members()) {
    const hdf5::Dataset counts = root.open_dataset(name);
    std::vector<std::uint64_t> extents = counts.extents();
    if (extents.empty()) extents.push_back(0);
    extents[0] = matrices;
    hdf5::expect_extents(counts, extents, "its matrices first");
    constexpr std::uint64_t piece = std::uint64_t{1} << 20;
    const std::uint64_t step = std::max<std::uint64_t>(1, piece / std::max<std::uint64_t>(1, counts.row_elements()));
    for (std::uint64_t first = 0; first < matrices; first += step) {
      counts.read_integers<std::uint64_t>(first, std::min(step, matrices - first));
    }
  }
  return {{"counts of bit slices", path.string()}, {"model", root.read_string("model")}, {"matrices", matrices}};
}

}  // namespace

std::optional<Json> inspect_other(const std::filesystem::path& path) {
  std::string schema;
  if (const hdf5::Group root = hdf5::open_file(path); root.has_attribute("schema")) schema = root.read_string("schema");
  if (schema == "moecarlo-weights") return inspect_weights(path);
  if (schema == "moecarlo-tallies") return inspect_tallies(path);
  if (schema == "moecarlo-bitslice-counts") return inspect_counts(path);
  return std::nullopt;
}

}  // namespace moecarlo::cli
