#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "host/support/error.hpp"
#include "hw/projection/evaluate.hpp"

namespace moecarlo::hw {

/// A file that goes away with the test. `name` keeps its extension.
class SampleFile {
 public:
  SampleFile(const std::string& name, const std::string& text)
      : folder_(std::filesystem::temp_directory_path() /
                ("moecarlo-hw-" + std::to_string(reinterpret_cast<std::uintptr_t>(this)))),
        path_(folder_ / name) {
    std::filesystem::create_directories(folder_);
    std::ofstream(path_) << text;
  }
  ~SampleFile() { std::filesystem::remove_all(folder_); }
  SampleFile(const SampleFile&) = delete;
  SampleFile& operator=(const SampleFile&) = delete;

  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path folder_, path_;
};

/// A row of a preset.
std::string row(const std::string& name, double value, const std::string& unit);

/// A small machine in round numbers: EXT 1 GB/s, HB 10 GB/s, logic and links too fast to matter, 1 pJ for each bit and
/// op, no static power.
System sample_system(double hb_bytes);

/// Tables of a preset: a memory in MB and MB/s, a unit in millions of operations per second that sees these memories.
std::string store_of(const std::string& name, double capacity_mb, double bandwidth, double energy);
std::string unit_of(const std::string& name, const std::string& sees, double throughput);

/// Reads the text of a preset.
System system_of(const std::string& text);

/// Near 100 MB/s, between 10 MB/s, far 1 MB/s; dense weights between. Experts are read where they are.
System three_tiers(double near_mb = 0.004, double between_mb = 1, const std::string& more = "");

/// Two layers of four experts, top-1: an expert is 1536 weights, attention and router of a layer 4224, the LM head
/// 2048.
Model sample_model();

/// One group; classes are filled in by the test.
Workload sample_workload(std::uint32_t depth, Capacity capacity, std::uint64_t rounds, double tokens);

/// A joint histogram of one group.
JointCounts one_group(const std::map<JointBin, std::uint64_t>& passes);

/// One step of autoregressive decoding in which each layer's experts hit and miss so often, for any model.
Workload one_step(const Model& model, const Placement& placement, std::uint32_t batch, std::uint32_t hits,
                  std::uint32_t misses);

/// The text of the moecarlo::Error that `call` throws; fails the test where it throws none.
template <class Call>
std::string error_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace moecarlo::hw
