#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hdf5.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "host/support/error.hpp"
#include "tests/shared/backend_suite.hpp"
#include "tests/simulate/simulated.hpp"

namespace moecarlo {
namespace {

using namespace moecarlo::testing;

/// A folder of its own for each test, removed at the end.
class TalliesFile : public ::testing::Test {
 protected:
  TalliesFile() {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::temp_directory_path() / fmt::format("moecarlo_{}_{}", info->name(), getpid());
    std::filesystem::create_directories(folder_);
  }
  ~TalliesFile() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path path(const std::string& name) const { return folder_ / name; }

 private:
  std::filesystem::path folder_;
};

const Provenance kProvenance = {"[study]\nname = \"x\"\n", R"({"model": "toy"})", "moecarlo 0", false};

Tallies tallies_of(const StudyCase& one) {
  const Plan plan = make_plan(one.study, make_grid(one.study, one.implied, {one.table.layers}), one.table, one.sources);
  Tallies tallies(plan.shape);
  RunOptions options;
  options.trajectories = plan.trajectories(20);
  run(*make_cpu_backend(one.table.view(), plan, 1), options, tallies);
  return tallies;
}

std::string bytes_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_bytes(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary) << bytes;
}

bool operator==(const GroupLayout& a, const GroupLayout& b) {
  return a.groups == b.groups && a.replicates == b.replicates && a.populations == b.populations;
}

void expect_equal(const TallyShape& a, const TallyShape& b) {
  EXPECT_EQ(a.walk, b.walk);
  EXPECT_EQ(a.layers, b.layers);
  EXPECT_EQ(a.experts, b.experts);
  EXPECT_EQ(a.top_k, b.top_k);
  EXPECT_EQ(a.slices, b.slices);
  EXPECT_EQ(a.scope, b.scope);
  EXPECT_EQ(a.warm, b.warm);
  EXPECT_TRUE(a.ranges == b.ranges);
  EXPECT_EQ(a.population_starts, b.population_starts);
  EXPECT_EQ(a.sequences, b.sequences);
  EXPECT_EQ(a.subset, b.subset);
  EXPECT_TRUE(a.groups == b.groups);
  EXPECT_TRUE(a.joint_groups == b.joint_groups);
  ASSERT_EQ(a.cells.size(), b.cells.size());
  for (std::size_t c = 0; c < a.cells.size(); ++c) {
    EXPECT_EQ(a.cells[c].batch, b.cells[c].batch);
    EXPECT_EQ(a.cells[c].depth, b.cells[c].depth);
    EXPECT_EQ(a.cells[c].bits, b.cells[c].bits);
    EXPECT_EQ(a.cells[c].apart, b.cells[c].apart);
    EXPECT_EQ(a.cells[c].tree.width, b.cells[c].tree.width);
    EXPECT_EQ(a.cells[c].tree.verify_tokens, b.cells[c].tree.verify_tokens);
    EXPECT_EQ(a.cells[c].acceptance.kind, b.cells[c].acceptance.kind);
    EXPECT_EQ(a.cells[c].acceptance.independent, b.cells[c].acceptance.independent);
    EXPECT_EQ(a.cells[c].policies, b.cells[c].policies);
    EXPECT_EQ(a.cells[c].capacities, b.cells[c].capacities);
    EXPECT_EQ(a.cells[c].joint, b.cells[c].joint);
    EXPECT_EQ(a.cells[c].thresholds, b.cells[c].thresholds);
  }
}

/// The tallies of a file, joint histograms among the counters.
Tallies read_whole(const std::filesystem::path& file, Provenance& provenance) {
  std::vector<JointBins> joints;
  Tallies tallies = read_tallies(file, provenance, joints);
  add_joints(tallies, joints);
  return tallies;
}

TEST_F(TalliesFile, gives_back_what_was_written) {
  for (const std::uint32_t number : {0U, 1U, 4U, 7U, 14U}) {  // samples, episodes and enumeration, with joint tallies
    const StudyCase one = study_case(number);
    SCOPED_TRACE(one.description);
    const Tallies written = tallies_of(one);
    write_tallies(path("tallies.h5"), written, kProvenance);
    Provenance provenance;
    const Tallies read = read_whole(path("tallies.h5"), provenance);
    expect_equal(read.shape, written.shape);
    EXPECT_EQ(read.counters, written.counters);
    EXPECT_EQ(read.trajectories, written.trajectories);
    EXPECT_EQ(read.replicate_trajectories, written.replicate_trajectories);
    EXPECT_EQ(provenance.study_toml, kProvenance.study_toml);
    EXPECT_EQ(provenance.trace_json, kProvenance.trace_json);
    EXPECT_EQ(provenance.program, kProvenance.program);
    EXPECT_EQ(provenance.finished, kProvenance.finished);
  }
}

/// An LRU cache of 2.5 experts a layer that some hardware has, simulated.
Tallies of_hardware(const std::vector<std::uint32_t>& layer_ranges) {
  Study study = small_study();
  study.grid.policy = {Policy::lru};
  study.layer_ranges = layer_ranges;
  TableSpec spec;
  spec.layers = 3;
  const RoutingTable table = random_table(spec);
  return tallies_of({"", table, study, {{3, false, {2, 1}}}, {}});
}

TEST_F(TalliesFile, KeepsJointHistogramsOfLayerRangesApart) {
  const Tallies all = of_hardware({}), apart = of_hardware({1, 2});
  ASSERT_EQ(apart.shape.ranges.count, 3U);
  write_tallies(path("tallies.h5"), apart, kProvenance);
  Provenance provenance;
  std::vector<JointBins> joints;
  expect_equal(read_tallies(path("tallies.h5"), provenance, joints).shape, apart.shape);
  // Layer 0 holds 3 experts, the others 2: of the ranges' classes only 0, 3 and 5 have layers.
  const JointTally &one = all.layout.joints.back(), &other = apart.layout.joints.back();
  const std::uint64_t size = std::uint64_t{one.rows} * one.columns * all.shape.joint_groups.total();
  std::uint64_t passes[6] = {};
  for (std::uint64_t i = 0; i < size; ++i) {
    const auto at = [&](std::uint64_t number) { return apart.counters[other.verify + number * size + i]; };
    EXPECT_EQ(all.counters[one.verify + i], at(0));
    EXPECT_EQ(all.counters[one.verify + size + i], at(3) + at(5));
    for (std::uint64_t number = 0; number < 6; ++number) passes[number] += at(number);
  }
  EXPECT_GT(passes[0], 0U);
  EXPECT_EQ(passes[3], passes[0]);
  EXPECT_EQ(passes[5], passes[0]);
  EXPECT_EQ(passes[1] + passes[2] + passes[4], 0U);
}

TEST_F(TalliesFile, gives_back_joint_histograms_as_bins) {
  for (const std::uint32_t number : {1U, 7U}) {
    const StudyCase one = study_case(number);
    SCOPED_TRACE(one.description);
    const Tallies written = tallies_of(one);
    write_tallies(path("tallies.h5"), written, kProvenance);
    Provenance provenance;
    std::vector<JointBins> joints;
    const Tallies read = read_tallies(path("tallies.h5"), provenance, joints);
    const auto first_joint = written.counters.begin() + static_cast<std::ptrdiff_t>(written.layout.first_joint_counter);
    EXPECT_EQ(read.counters, std::vector<std::uint64_t>(written.counters.begin(), first_joint));
    std::uint64_t counted = 0;
    for (std::size_t c = 0; c < joints.size(); ++c) {
      const std::vector<TallyLayout::Sparse> sparse = written.layout.sparse_of(c);
      for (std::size_t j = 0; j < sparse.size(); ++j) {
        for (std::uint64_t bin = joints[c].first[j]; bin < joints[c].first[j + 1]; ++bin) {
          const std::uint64_t at = sparse[j].first + joints[c].place[bin];
          EXPECT_EQ(joints[c].count[bin], written.counters[at]);
          EXPECT_GT(joints[c].count[bin], 0U);
          ++counted;
        }
      }
    }
    EXPECT_EQ(counted,
              std::count_if(first_joint, written.counters.end(), [](std::uint64_t count) { return count > 0; }));
  }
}

/// Tallies of the first random case that has joint histograms.
Tallies tallies_with_joints() {
  for (std::uint32_t number = 0;; ++number) {
    Tallies tallies = tallies_of(study_case(number));
    if (!tallies.layout.joints.empty()) return tallies;
  }
}

TEST_F(TalliesFile, is_refused_as_input_when_a_bin_lies_elsewhere) {
  const Tallies written = tallies_with_joints();
  std::size_t cell = 0;
  while (written.layout.sparse_of(cell).empty()) ++cell;
  const std::string dataset = fmt::format("cell_{:04}/joint_place", cell);
  for (const std::uint32_t place : {~0U, 0U}) {  // outside of its histogram; not above the one before it
    write_tallies(path("odd.h5"), written, kProvenance);
    const hid_t file = H5Fopen(path("odd.h5").c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    const hid_t handle = H5Dopen2(file, dataset.c_str(), H5P_DEFAULT);
    std::vector<std::uint32_t> places(joint_bins(written, cell).place.size(), place);
    ASSERT_GE(H5Dwrite(handle, H5T_NATIVE_UINT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, places.data()), 0);
    H5Dclose(handle);
    H5Fclose(file);
    Provenance provenance;
    try {
      read_whole(path("odd.h5"), provenance);
      ADD_FAILURE() << place << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::input);
      EXPECT_THAT(error.what(), ::testing::HasSubstr("joint_place"));
    }
  }
}

TEST_F(TalliesFile, resumes_to_the_tallies_of_one_go) {
  const RoutingTable table = small_table();
  const Study study = small_study();
  const Plan plan = make_plan(study, make_grid(study, {}), table);
  write_tallies(path("tallies.h5"), simulate(study, table, 300), kProvenance);
  Provenance provenance;
  Tallies resumed = read_whole(path("tallies.h5"), provenance);
  RunOptions options;
  options.trajectories = 1500;
  run(*make_cpu_backend(table.view(), plan, 1), options, resumed);
  EXPECT_EQ(resumed.counters, simulate(study, table, 1500).counters);
}

TEST_F(TalliesFile, of_equal_tallies_is_the_same_byte_for_byte_whenever_it_is_written) {
  const Tallies tallies = tallies_of(study_case(2));
  write_tallies(path("first.h5"), tallies, kProvenance);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // a stored time has whole seconds
  write_tallies(path("second.h5"), tallies, kProvenance);
  EXPECT_TRUE(bytes_of(path("first.h5")) == bytes_of(path("second.h5")));
}

TEST_F(TalliesFile, is_refused_as_input_when_cut_short) {
  write_tallies(path("tallies.h5"), tallies_of(study_case(2)), kProvenance);
  const std::string whole = bytes_of(path("tallies.h5"));
  Provenance provenance;
  for (const std::size_t size : {std::size_t{0}, std::size_t{100}, whole.size() / 2, whole.size() - 1}) {
    write_bytes(path("cut.h5"), whole.substr(0, size));
    try {
      read_whole(path("cut.h5"), provenance);
      ADD_FAILURE() << size << " of " << whole.size() << " bytes were accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::input);
      EXPECT_THAT(error.what(), ::testing::HasSubstr("cut.h5"));
    }
  }
}

void set_integer(const std::filesystem::path& file, const char* attribute, std::int64_t value) {
  const hid_t handle = H5Fopen(file.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  const hid_t object = H5Aopen(handle, attribute, H5P_DEFAULT);
  ASSERT_GE(H5Awrite(object, H5T_NATIVE_INT64, &value), 0) << attribute;
  H5Aclose(object);
  H5Fclose(handle);
}

TEST_F(TalliesFile, is_refused_as_input_before_joint_histograms_that_it_only_declares_take_memory) {
  // A joint histogram has no more groups and replicates than the data have, and replicates only of populations.
  const Tallies written = tallies_with_joints();
  const std::int64_t groups = written.shape.groups.groups, replicates = written.shape.groups.replicates;
  for (const auto& [attribute, value] :
       std::vector<std::pair<const char*, std::int64_t>>{{"joint_groups", groups + 1},
                                                         {"joint_groups", 0},
                                                         {"joint_replicates", replicates + 1},
                                                         {"populations", replicates == 0 ? 1 : 0}}) {
    write_tallies(path("odd.h5"), written, kProvenance);
    set_integer(path("odd.h5"), attribute, value);
    Provenance provenance;
    std::vector<JointBins> joints;
    try {
      read_tallies(path("odd.h5"), provenance, joints);
      ADD_FAILURE() << attribute << " = " << value << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::input) << error.what();
    }
  }
}

TEST(JointBins, OfACellWithoutHistogramsStayNone) {
  JointBins none;
  add(none, {});
  EXPECT_TRUE(none.first.empty());
}

TEST(JointBins, OfShardsAddUp) {
  std::mt19937 random(5);
  for (int repeat = 0; repeat < 50; ++repeat) {
    constexpr std::size_t histograms = 3, places = 7;
    std::array<std::array<std::uint64_t, places>, histograms> dense{};
    const auto draw = [&] {
      JointBins bins;
      for (std::size_t h = 0; h < histograms; ++h) {
        bins.first.push_back(bins.place.size());
        for (std::uint32_t place = 0; place < places; ++place) {
          if (random() % 2 == 0) continue;
          bins.place.push_back(place);
          bins.count.push_back(1 + random() % 9);
          dense[h][place] += bins.count.back();
        }
      }
      bins.first.push_back(bins.place.size());
      return bins;
    };
    JointBins sum = draw();
    add(sum, draw());
    std::array<std::array<std::uint64_t, places>, histograms> found{};
    for (std::size_t h = 0; h < histograms; ++h) {
      for (std::uint64_t bin = sum.first[h]; bin < sum.first[h + 1]; ++bin) found[h][sum.place[bin]] = sum.count[bin];
      EXPECT_TRUE(std::is_sorted(sum.place.begin() + static_cast<std::ptrdiff_t>(sum.first[h]),
                                 sum.place.begin() + static_cast<std::ptrdiff_t>(sum.first[h + 1])));
    }
    EXPECT_EQ(found, dense);
    EXPECT_EQ(sum.first.back(), sum.place.size());
  }
}

TEST_F(TalliesFile, is_refused_as_input_when_a_number_is_impossible) {
  write_tallies(path("whole.h5"), tallies_of(study_case(2)), kProvenance);
  for (const char* attribute :
       {"schema_version", "layers", "experts", "top_k", "groups", "replicates", "populations", "joint_groups",
        "joint_replicates", "trajectories", "replicate_trajectories", "cells", "shard", "shards"}) {
    for (const std::int64_t value : {std::int64_t{-1}, std::int64_t{1} << 40}) {
      if (value > 0 && std::string(attribute).ends_with("trajectories")) continue;  // many, but possible
      std::filesystem::copy_file(path("whole.h5"), path("odd.h5"), std::filesystem::copy_options::overwrite_existing);
      set_integer(path("odd.h5"), attribute, value);
      Provenance provenance;
      try {
        read_whole(path("odd.h5"), provenance);
        ADD_FAILURE() << attribute << " = " << value << " was accepted";
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::input) << error.what();
      } catch (const std::exception& error) {
        ADD_FAILURE() << attribute << " = " << value << ": " << error.what();
      }
    }
  }
}

TEST_F(TalliesFile, that_is_missing_or_cannot_be_written_is_said_so) {
  Provenance provenance;
  EXPECT_THROW(read_whole(path("nowhere.h5"), provenance), Error);
  try {
    write_tallies(path("no/such/folder.h5"), tallies_of(study_case(0)), kProvenance);
    ADD_FAILURE() << "written into a folder that does not exist";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::machine);
  }
}

}  // namespace
}  // namespace moecarlo
