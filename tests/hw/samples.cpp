#include "tests/hw/samples.hpp"

#include <fmt/format.h>

namespace moecarlo::hw {

std::string row(const std::string& name, double value, const std::string& unit) {
  return fmt::format("{} = {{ value = {}, unit = \"{}\", status = \"assumed\", source = \"test\" }}\n", name, value,
                     unit);
}

System sample_system(double hb_bytes) {
  std::string text = "[system]\ntiers = [\"hb\", \"ext\"]\nunits = [\"logic\"]\n";
  text +=
      "[logic]\nkind = \"unit\"\nsees = [\"hb\", \"ext via streamline\"]\nbroadcast = \"streamline\"\n"
      "collect = \"aggregation\"\n" +
      row("output_size", 4, "B") + row("processing_elements", 2, "count") + row("macs_per_element", 1e6, "count") +
      row("clock", 1, "GHz") + row("bits_per_pass", 4, "bit") + row("energy", 1, "pJ/op");
  text += "[hb]\nkind = \"store\"\ncoupled = \"logic\"\n" + row("capacity", hb_bytes / 1073741824.0, "GiB") +
          row("bandwidth", 10, "GB/s") + row("efficiency", 1, "share") + row("read_energy", 1, "pJ/bit") +
          row("write_energy", 1, "pJ/bit") + row("elements_per_expert", 2, "count");
  text += "[ext]\nkind = \"store\"\n" + row("capacity", 1, "GB") + row("bandwidth", 1, "GB/s") +
          row("efficiency", 1, "share") + row("energy", 1, "pJ/bit");
  for (const char* link : {"streamline", "aggregation"}) {
    text += fmt::format("[{}]\nkind = \"link\"\nfigure = \"link\"\nlanes = \"logic\"\n", link) +
            row("bandwidth", 1e6, "GB/s") + row("efficiency", 1, "share") + row("energy", 1, "pJ/bit");
  }
  text += "[static]\n" + row("logic", 0, "W") + row("hb", 0, "W") + row("ext", 0, "W");
  const SampleFile file("sample.toml", text);
  return read_system(file.path());
}

Model sample_model() {
  const auto format = row("bits", 8, "bit") + row("group_size", 32, "count") + row("scale_bits", 16, "bit");
  std::string text =
      "[layers]\n" + row("total", 2, "count") + row("hidden", 32, "count") + row("vocabulary", 64, "count");
  text += "[experts]\n" + row("count", 4, "count") + row("top_k", 1, "count") + row("ffn", 16, "count") + format;
  text += "[attention]\n" + row("query_heads", 1, "count") + row("kv_heads", 1, "count") +
          row("head_size", 32, "count") + row("kv_bits", 16, "bit");
  text += "[dense]\n" + format;
  text += "[draft_head]\n" + row("query_width", 32, "count") + row("kv_width", 32, "count") + row("ffn", 64, "count");
  const SampleFile file("sample.toml", text);
  return read_model(file.path());
}

Workload sample_workload(std::uint32_t depth, Capacity capacity, std::uint64_t rounds, double tokens) {
  Workload workload;
  workload.depth = depth;
  workload.verify_columns = depth + 1;
  workload.policy = "static";
  workload.capacity = capacity;
  workload.layers = 2;
  workload.top_k = 1;
  workload.groups = 1;
  workload.counts.push_back({rounds, tokens});
  return workload;
}

JointCounts one_group(const std::map<JointBin, std::uint64_t>& passes) {
  std::vector<JointCounts::Entry> entries;
  for (const auto& [bin, count] : passes) entries.push_back({0, bin, count});
  return {1, entries};
}

Workload one_step(const Model& model, const Placement& placement, std::uint32_t batch, std::uint32_t hits,
                  std::uint32_t misses) {
  Workload workload = sample_workload(0, placement.capacity, 1, batch);
  workload.batch = batch;
  workload.layers = model.moe_layers;
  workload.top_k = model.top_k;
  workload.classes.push_back(
      {model.moe_layers, placement.capacity.base, one_group({{{hits, misses}, model.moe_layers}}), {}, {0}});
  return workload;
}

std::string store_of(const std::string& name, double capacity_mb, double bandwidth, double energy) {
  return "[" + name + "]\nkind = \"store\"\n" + row("capacity", capacity_mb, "MB") +
         row("bandwidth", bandwidth, "MB/s") + row("efficiency", 1, "share") + row("energy", energy, "pJ/bit");
}

std::string unit_of(const std::string& name, const std::string& sees, double throughput) {
  return "[" + name + "]\nkind = \"unit\"\n" + (sees.empty() ? "" : "sees = [" + sees + "]\n") +
         row("throughput", throughput, "MOPS") + row("bits_per_pass", 8, "bit") + row("energy", 1, "pJ/op");
}

System system_of(const std::string& text) {
  const SampleFile file("tiers.toml", text);
  return read_system(file.path());
}

System three_tiers(double near_mb, double between_mb, const std::string& more) {
  return system_of(
      "[system]\ntiers = [\"near\", \"between\", \"far\"]\nunits = [\"gpu\"]\ndense_weights = \"between\"\n" +
      unit_of("gpu", "\"near\", \"between\", \"far\"", 1e6) + store_of("near", near_mb, 100, 1) +
      store_of("between", between_mb, 10, 2) + store_of("far", 1000, 1, 3) + more);
}

}  // namespace moecarlo::hw
