#include "host/pipeline/stored_study.hpp"

#include <utility>

#include "host/pipeline/output_folder.hpp"
#include "host/study/parse_study.hpp"
#include "host/support/error.hpp"

namespace moecarlo {

StoredStudy read_study(const std::filesystem::path& directory, const HardwareChanges& changes) {
  Provenance provenance;
  const std::string file = tallies_path(directory).string();
  std::vector<JointBins> joints;
  Tallies tallies = read_tallies(file, provenance, joints);
  if (!provenance.finished) {
    fail(ErrorKind::input, "{}: the study is not finished (expected a finished one; go on with simulate --resume)",
         file);
  }
  if (!tallies.shard.is_whole()) {
    fail(ErrorKind::input,
         "{}: shard {} of a study (expected the study as a whole; put the shards together with merge)", file,
         tallies.shard.text());
  }
  Study study = parse_study(provenance.study_toml, file, {});
  if (!changes.empty()) {
    if (!study.hardware) fail(ErrorKind::usage, "{}: the study names no hardware.model", file);
    HardwareSpec& hardware = *study.hardware;
    if (!changes.systems.empty()) hardware.systems = changes.systems;
    if (!changes.schemes.empty()) hardware.schemes = changes.schemes;
    if (changes.context) {
      hardware.context = *changes.context;
      hardware.least_context.reset();
    }
    for (const auto& [constant, text] : changes.set) hardware.set[constant] = text;
  }
  TraceFacts facts = parse_trace_facts(provenance.trace_json, file);
  auto projection = make_projection(study, tallies.shape.layers, tallies.shape.experts / tallies.shape.slices,
                                    tallies.shape.top_k / tallies.shape.slices);
  if (changes.band && projection) projection->ask_for_bands();
  return {std::move(study), std::move(facts), std::move(tallies), std::move(joints), std::move(projection)};
}

}  // namespace moecarlo
