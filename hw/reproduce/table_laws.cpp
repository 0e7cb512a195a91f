#include "hw/reproduce/table_laws.hpp"

#include <fmt/format.h>

#include "host/support/error.hpp"

namespace moecarlo::hw {
namespace {

DraftLaw read_draft(PresetReader& reader, const std::string& scheme) {
  DraftLaw law{scheme, reader.count("depth." + scheme), reader.yes("bonus_within_alpha." + scheme), 0};
  const std::string reuse = "draft_reuse." + scheme;
  if (reader.has(reuse)) law.reuse = reader.positive(reuse, "count");
  return law;
}

PublishedAggregates read_published(PresetReader& reader) {
  const auto figure = [&](const char* name) { return reader.positive(fmt::format("published.{}", name), "count"); };
  return {figure("speed_gain_8gb"),        figure("energy_gain_8gb"),       figure("speed_over_prior_8gb"),
          figure("energy_over_prior_8gb"), figure("best_mode_4gb"),         figure("best_mode_8gb"),
          figure("elastic_over_eagle"),    figure("elastic_over_eagle_max")};
}

}  // namespace

const DraftLaw& TableLaws::draft_of(const std::string& scheme) const {
  for (const DraftLaw& law : schemes) {
    if (law.scheme == scheme) return law;
  }
  fail(ErrorKind::usage, "{}: no depth of scheme {}", preset.file, scheme);
}

TableLaws make_table_laws(const Preset& preset) {
  PresetReader reader(preset);
  TableLaws laws;
  laws.preset = preset;
  laws.width = reader.count("tree.width");
  laws.verify_tokens = reader.count("tree.verify_tokens");
  laws.reuse_tokens = reader.count("verify.reuse_tokens");
  laws.reuse = reader.positive("verify.reuse", "count");
  laws.degradation = reader.positive("hits.degradation", "count");
  laws.context = reader.count("serving.context");
  laws.published = read_published(reader);
  laws.reference = read_system(reader.text("table.reference"));
  for (const std::string& name : reader.texts("table.systems")) laws.systems.push_back(read_system(name));
  for (const std::string& name : reader.texts("table.schemes")) laws.schemes.push_back(read_draft(reader, name));
  for (const std::string& pair : reader.texts("table.baselines")) {
    const std::size_t with = pair.find(" with ");
    if (with == std::string::npos) reader.refuse_setting("table.baselines", "\"SYSTEM with SCHEME\"");
    laws.baselines.push_back({read_system(pair.substr(0, with)), pair.substr(with + 6)});
  }
  for (const std::string& name : reader.names("locality")) {
    const Model model = read_model(name);
    laws.routing.push_back({name,
                            {model.experts, model.top_k, reader.not_negative("popularity." + name, "count"),
                             reader.positive("locality." + name, "count")}});
  }
  reader.finish();
  return laws;
}

std::uint32_t near_gigabytes(const System& system) {
  constexpr double bytes_per_gibibyte = 1073741824;
  return static_cast<std::uint32_t>(system.tiers.front().capacity_bytes / bytes_per_gibibyte);
}

const System& system_of(const TableLaws& laws, std::uint32_t hb_gb) {
  for (const System& system : laws.systems) {
    if (near_gigabytes(system) == hb_gb) return system;
  }
  fail(ErrorKind::usage, "{}: no system with {} GB of near memory", laws.preset.file, hb_gb);
}

}  // namespace moecarlo::hw
