#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "hw/plan/mean_time.hpp"
#include "hw/projection/evaluate.hpp"
#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

constexpr int kMachines = 500;
constexpr std::uint32_t kContext = 10, kBatch = 2;

/// Machines of one or two tiers, alone or in a pair, with links, latencies, pages, overheads, helpers and every way to
/// miss, in numbers of any size that the sample model fits into.
class RandomMachine {
 public:
  explicit RandomMachine(std::uint32_t seed) : random_(seed) {
    const bool two = chance(0.7), pair = chance(0.3), helped = !two && chance(0.5);
    std::string units = "\"gpu\"";
    if (helped) units += ", \"pim\"";
    const bool cpu = two && chance(0.4);
    if (cpu) units += ", \"cpu\"";
    text_ = fmt::format("[system]\ntiers = [{}\"far\"]\nunits = [{}]\n", two ? "\"near\", " : "", units);
    if (chance(0.3)) text_ += "verify_reads = \"per_row\"\n";
    if (pair) text_ += "[devices]\nall_reduce = \"ring\"\n" + row("count", 2, "count") + link("ring");
    text_ += "[gpu]\nkind = \"unit\"\nsees = [" + std::string(two ? "\"near\", \"far via bus\"" : "\"far\"") + "]\n" +
             row("throughput", rate(), "MOPS") + row("bits_per_pass", 4, "bit") + row("energy", rate(), "pJ/op");
    if (chance(0.5)) text_ += row("decode", 3, "count");
    if (two) text_ += store("near", 20e-6 + 30e-6 * part()) + link("bus");
    text_ += store("far", 1);
    if (helped) {
      text_ += "[pim]\nkind = \"unit\"\nhelps = \"gpu\"\nsees = [\"far\"]\n" + row("bandwidth", rate(), "MB/s") +
               row("efficiency", 1, "share") + row("read_energy", rate(), "pJ/bit") +
               row("throughput", rate(), "MOPS") + row("energy", rate(), "pJ/op") + row("capacity", 1, "GB") +
               row("dense_weights", part(), "share") + row("kv_cache", part(), "share") +
               row("works_beside", chance(0.5) ? 1 : 0, "share");
    }
    if (cpu) {
      text_ += "[cpu]\nkind = \"unit\"\nsees = [\"far\"]\n" + row("throughput", rate(), "MOPS") +
               row("energy", rate(), "pJ/op");
    }
    if (two) {
      const double fetch = part(), there = cpu ? (1 - fetch) * part() : 0;
      text_ += "[miss]\n" + row("fetch", fetch, "share") + row("there", there, "share") +
               row("in_place", 1 - fetch - there, "share");
      if (cpu) text_ += "unit = \"cpu\"\nlink = \"bus\"\n";
    }
    if (chance(0.5)) text_ += "[overhead]\n" + row("layer", part(), "us") + row("pass", part(), "us");
    text_ += "[static]\n" + row("all", part(), "W");
  }

  System system() const {
    const SampleFile file("random.toml", text_);
    return read_system(file.path());
  }
  const std::string& text() const { return text_; }

 private:
  bool chance(double probability) { return part() < probability; }
  double part() { return std::uniform_real_distribution<double>(0.01, 0.99)(random_); }
  double rate() { return std::pow(10, std::uniform_real_distribution<double>(1, 4)(random_)); }
  std::string store(const std::string& name, double gigabytes) {
    std::string text = "[" + name + "]\nkind = \"store\"\n" + row("capacity", gigabytes, "GB") +
                       row("bandwidth", rate(), "MB/s") + row("efficiency", part(), "share") +
                       row("energy", rate(), "pJ/bit");
    return text;
  }
  std::string link(const std::string& name) {
    std::string text = "[" + name + "]\nkind = \"link\"\n" + row("bandwidth", rate(), "MB/s") +
                       row("efficiency", part(), "share") + row("energy", rate(), "pJ/bit");
    if (chance(0.5)) text += row("latency", part(), "us");
    if (chance(0.3)) text += row("page", 512, "B");
    return text;
  }

  std::mt19937 random_;
  std::string text_;
};

/// A step of the sample model in which each layer hits and misses so often.
struct Step {
  System system;
  Model model = sample_model();
  std::uint32_t hits = 0, misses = 0;
  Workload workload{};

  Step(System on, std::uint32_t number) : system(std::move(on)) {
    misses = 1 + number % 2;
    const Placement placement = place(system, autoregressive(), model, {kContext, kBatch, 0, 8}, model.moe_layers);
    hits = system.has_cache() && placement.slots > 0 ? 1 : 0;
    workload = one_step(model, placement, kBatch, hits, misses);
  }

  Projection projection() const { return project_held(system, autoregressive(), model, kContext, workload, 8); }
  double seconds() const { return projection().breakdown.at("seconds"); }
  double joules() const { return projection().breakdown.at("joules"); }
  Step with(const std::string& key, double factor) const {
    Step other = *this;
    other.system = make_system(scaled(system.preset, key, factor));
    return other;
  }
};

void for_each_machine(const std::function<void(const Step&)>& check) {
  for (std::uint32_t seed = 0; seed < kMachines; ++seed) {
    const RandomMachine machine(seed);
    SCOPED_TRACE(fmt::format("machine {}\n{}", seed, machine.text()));
    check(Step(machine.system(), seed));
    if (testing::Test::HasFailure()) return;
  }
}

bool ends_with(const std::string& text, std::string_view end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

TEST(RandomMachines, PartsAddUpToTheRoundAndCategoriesToItsEnergy) {
  for_each_machine([](const Step& step) {
    const Breakdown breakdown = step.projection().breakdown;
    double seconds = 0, joules = 0;
    for (std::size_t i = 0; i < kRoundParts; ++i) {
      seconds += breakdown.seconds_of(static_cast<RoundPart>(i)).value_or(0);
    }
    breakdown.for_each([&](std::string_view name, double value) {
      if (name.substr(0, 7) == "energy.") joules += value;
    });
    EXPECT_NEAR(seconds, breakdown.at("seconds"), 1e-9 * seconds);
    EXPECT_NEAR(joules, breakdown.at("joules"), 1e-9 * joules);
    for (const auto& [resource, share] : step.projection().busy) EXPECT_LE(share, 1 + 1e-9) << resource;
    const Plan plan = plan_autoregressive(step.system, step.model, {kContext, kBatch, 0, 8}, {});
    const Done done = at_means(step.system, step.model, plan.round, mean_counts(step.workload));
    EXPECT_NEAR(joules_by_standing(step.system, done.work, done.seconds).total(),
                joules_of(step.system, done.work, done.seconds), 1e-9 * joules);
  });
}

TEST(RandomMachines, EveryByteOfTheModelIsReadWhereItLies) {
  for_each_machine([](const Step& step) {
    const System& system = step.system;
    const Model& model = step.model;
    const Plan plan = plan_autoregressive(system, model, {kContext, kBatch, 0, 8}, {});
    const Work work = at_means(system, model, plan.round, mean_counts(step.workload)).work;
    const double passes = system.reads_per_row ? kBatch : 1;  // of dense weights
    const double dense = passes * dense_bytes(model) + kBatch * kContext * kv_bytes_per_token(model);
    const double rows = kBatch * model.top_k, distinct = step.hits + step.misses;
    const double again = system.reads_per_row ? rows / distinct : 1;
    const double expert = model.moe_layers * expert_bytes(model);
    const Misses& how = system.misses;
    const double fetched = system.has_cache() ? how.fetch * step.misses * expert : 0;
    // Once over the link, and for each row near, if rows do not share reads.
    const double read = dense + again * distinct * expert + fetched;
    EXPECT_NEAR(bytes_read(system, work), read, 1e-9 * read);
    if (system.has_cache()) {
      EXPECT_NEAR(system.amount(work, "near_written"), fetched, 1e-9 * (fetched + 1));
      const double at_home = (how.in_place + how.there) * step.misses * expert * again + fetched;
      EXPECT_NEAR(system.amount(work, "far"), at_home, 1e-9 * (at_home + 1));
    }
  });
}

TEST(RandomMachines, NoTimeBeatsARoof) {
  for_each_machine([](const Step& step) {
    const Plan plan = plan_autoregressive(step.system, step.model, {kContext, kBatch, 0, 8}, {});
    const Done done = at_means(step.system, step.model, plan.round, mean_counts(step.workload));
    for (std::size_t r = 0; r < step.system.resources.size(); ++r) {
      EXPECT_GE(done.seconds * (1 + 1e-9), resource_seconds(step.system, done.work, r)) << r;
    }
  });
}

TEST(RandomMachines, FasterIsNeverSlowerAndCostlierNeverCheaper) {
  for_each_machine([](const Step& step) {
    const double seconds = step.seconds(), joules = step.joules();
    for (const Constant& constant : step.system.preset.constants) {
      const std::string& key = constant.key;
      if (ends_with(key, ".bandwidth") || ends_with(key, ".throughput")) {
        EXPECT_LE(step.with(key, 2).seconds(), seconds * (1 + 1e-12)) << key;
      } else if (ends_with(key, "energy")) {
        EXPECT_GE(step.with(key, 2).joules(), joules * (1 - 1e-12)) << key;
      } else if (ends_with(key, ".latency") || ends_with(key, "overhead.layer") || ends_with(key, "overhead.pass")) {
        EXPECT_GE(step.with(key, 2).seconds(), seconds * (1 - 1e-12)) << key;
      }
    }
  });
}

TEST(RandomMachines, DoublingWhatDoesNotBindChangesNothing) {
  for_each_machine([](const Step& step) {
    const Plan plan = plan_autoregressive(step.system, step.model, {kContext, kBatch, 0, 8}, {});
    const ExpertsWork& experts = find_routed(plan.round, RoundPart::verify_experts)->work;
    const Done done = run(step.system, experts.at(step.hits, step.misses));
    if (step.system.helper) return;  // what the helper takes follows every rate
    for (std::size_t r = 0; r < step.system.resources.size(); ++r) {
      if (resource_seconds(step.system, done.work, r) > 0.999 * done.seconds) continue;
      System faster = step.system;
      faster.resources[r].seconds_per /= 2;
      EXPECT_EQ(run(faster, experts.at(step.hits, step.misses)).seconds, done.seconds) << r;
    }
  });
}

TEST(RandomMachines, OperationsAndBytesOfPartsAddUpToThoseOfTheRound) {
  for_each_machine([](const Step& step) {
    const Projection projection = step.projection();
    double operations = 0, bytes = 0;
    for (std::size_t i = 0; i < kRoundParts; ++i) {
      const std::string part(name_of(static_cast<RoundPart>(i)));
      operations += projection.breakdown.find("operations." + part).value_or(0);
      bytes += projection.breakdown.find("bytes_read." + part).value_or(0);
    }
    EXPECT_GT(bytes, 0);
    EXPECT_NEAR(operations / bytes, projection.operations_per_byte, 1e-9 * projection.operations_per_byte);
  });
}

TEST(RandomMachines, EveryConstantIsReadAndHasADimension) {
  for_each_machine([](const Step& step) {
    for (const Constant& constant : step.system.preset.constants) {
      Preset wrong = step.system.preset;
      for (Constant& one : wrong.constants) {
        if (one.key == constant.key) one.value = -1;
      }
      EXPECT_THAT(error_of([&] { make_system(wrong); }), testing::HasSubstr(constant.key + ".value: out of range"));
      for (Constant& one : wrong.constants) {
        if (one.key == constant.key) one.unit = constant.unit == "W" ? "GB" : "W";
      }
      EXPECT_THAT(error_of([&] { make_system(wrong); }), testing::HasSubstr(constant.key + ".unit: wrong unit"));
    }
  });
}

TEST(RandomMachines, AResourceWithoutWorkMayHaveAnyRate) {
  for_each_machine([](const Step& step) {
    System slow = step.system;
    Resource idle;
    idle.name = idle.energy = "idle";
    idle.seconds_per = 1e300;
    slow.resources.push_back(idle);
    EXPECT_EQ(project_held(slow, autoregressive(), step.model, kContext, step.workload, 8).groups[0].seconds,
              step.projection().groups[0].seconds);
  });
}

}  // namespace
}  // namespace moecarlo::hw
