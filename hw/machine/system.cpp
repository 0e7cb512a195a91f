#include "hw/machine/system.hpp"

#include <algorithm>
#include <cmath>

namespace moecarlo::hw {
namespace {

constexpr double bits_per_byte = 8;

HybridBonded read_hybrid_bonded(PresetReader& reader, const System& system) {
  HybridBonded hb;
  const double elements = reader.positive("hb.elements_per_expert", "count");
  hb.expert_groups = std::max(1.0, std::floor(system.processing_elements / elements));
  hb.capacity_bytes = reader.positive("hb.capacity", "GiB");
  hb.bytes_per_second = reader.positive("hb.bandwidth", "GB/s") * reader.share("hb.efficiency");
  hb.read_joules_per_byte = bits_per_byte * reader.not_negative("hb.read_energy", "pJ/bit");
  hb.write_joules_per_byte = bits_per_byte * reader.not_negative("hb.write_energy", "pJ/bit");
  return hb;
}

Links read_links(PresetReader& reader) {
  Links links;
  links.streamline_bytes_per_second = reader.positive("links.streamline", "GB/s");
  links.aggregation_bytes_per_second = reader.positive("links.aggregation", "GB/s");
  links.output_bytes = reader.positive("links.output_size", "B");
  links.joules_per_byte = bits_per_byte * reader.not_negative("links.energy", "pJ/bit");
  return links;
}

NearMemory read_near_memory(PresetReader& reader, const System& system) {
  NearMemory near;
  near.bytes_per_second = reader.positive("near.bandwidth", "GB/s") * reader.share("near.efficiency");
  // Published for 8-bit weights, which take more than one pass through the logic's multipliers.
  near.ops_per_second = reader.positive("near.throughput", "TOPS") * system.passes(8);
  near.read_joules_per_byte = bits_per_byte * reader.not_negative("near.read_energy", "pJ/bit");
  near.joules_per_op = reader.not_negative("near.energy", "pJ/op");
  near.capacity_bytes = reader.positive("near.capacity", "GB");
  near.dense_share = reader.share_or_none("near.dense_weights");
  near.cache_share = reader.share_or_none("near.kv_cache");
  near.works_beside = reader.share_or_none("near.works_beside") > 0;
  return near;
}

}  // namespace

double System::passes(double weight_bits) const {
  return std::ceil(weight_bits / bits_per_pass);
}

System make_system(const Preset& preset) {
  PresetReader reader(preset);
  System system;
  system.name = preset.name;
  system.processing_elements = reader.positive("logic.processing_elements", "count");
  system.ops_per_second = 2 * system.processing_elements * reader.positive("logic.macs_per_element", "count") *
                          reader.positive("logic.clock", "GHz");
  system.bits_per_pass = reader.positive("logic.bits_per_pass", "bit");
  system.joules_per_op = reader.not_negative("logic.energy", "pJ/op");
  system.ext_capacity_bytes = reader.positive("ext.capacity", "GB");
  system.ext_bytes_per_second = reader.positive("ext.bandwidth", "GB/s") * reader.share("ext.efficiency");
  system.ext_joules_per_byte = bits_per_byte * reader.not_negative("ext.energy", "pJ/bit");
  system.static_watts = reader.not_negative("static.logic", "W") + reader.not_negative("static.ext", "W");
  if (reader.has_table("hb")) {
    system.hb = read_hybrid_bonded(reader, system);
    system.links = read_links(reader);
    system.static_watts += reader.not_negative("static.hb", "W");
  }
  if (reader.has_table("near")) system.near = read_near_memory(reader, system);
  reader.finish();
  system.preset = preset;
  return system;
}

System read_system(const std::string& name) {
  return make_system(read_preset(find_preset("systems", name)));
}

}  // namespace moecarlo::hw
