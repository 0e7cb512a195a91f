// The machine model adds amounts up and takes maxima; here the same work is played out event by event, every memory,
// processor and link a queue that serves one job after the other (the question of PALM, arXiv 2406.03868).

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <queue>
#include <random>

#include "hw/plan/mean_time.hpp"
#include "hw/plan/totals.hpp"
#include "hw/projection/placement.hpp"
#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

/// Jobs that hold one resource, or several for the same time, in the order in which they became ready.
class EventMachine {
 public:
  explicit EventMachine(std::size_t resources) : free_at_(resources, 0) {}

  /// A job that is ready when others have ended; its number.
  std::size_t add(std::vector<std::size_t> holds, double seconds, const std::vector<std::size_t>& after = {}) {
    const std::size_t number = jobs_.size();
    jobs_.push_back({std::move(holds), seconds, after.size(), {}, 0});
    for (const std::size_t before : after) jobs_[before].next.push_back(number);
    return number;
  }

  /// When the last job has ended.
  double run() {
    std::priority_queue<Event, std::vector<Event>, std::greater<>> ready;
    for (std::size_t j = 0; j < jobs_.size(); ++j)
      if (jobs_[j].waits == 0) ready.push({0, j});
    double last = 0;
    while (!ready.empty()) {
      const auto [when, number] = ready.top();
      ready.pop();
      Job& job = jobs_[number];
      double start = when;
      for (const std::size_t r : job.holds) start = std::max(start, free_at_[r]);
      job.end = start + job.seconds;
      for (const std::size_t r : job.holds) free_at_[r] = job.end;
      last = std::max(last, job.end);
      for (const std::size_t next : job.next) {
        Job& waiting = jobs_[next];
        waiting.ready = std::max(waiting.ready, job.end);
        if (--waiting.waits == 0) ready.push({waiting.ready, next});
      }
    }
    return last;
  }

  double end_of(std::size_t job) const { return jobs_[job].end; }

 private:
  using Event = std::pair<double, std::size_t>;
  struct Job {
    std::vector<std::size_t> holds;
    double seconds = 0;
    std::size_t waits = 0;
    std::vector<std::size_t> next;
    double ready = 0, end = 0;
  };
  std::vector<Job> jobs_;
  std::vector<double> free_at_;
};

/// Plays a pass out: of each task a job on every resource that it uses, all ready together; parts wait for what stands
/// before them. Counts are whole.
class PassEvents {
 public:
  PassEvents(const System& system, const Model* model = nullptr, const MeanCounts& counts = {})
      : system_(system), model_(model), counts_(counts), machine_(system.resources.size()) {}

  double seconds(const Pass& pass) {
    add(pass, {});
    return machine_.run();
  }

 private:
  using Jobs = std::vector<std::size_t>;

  Jobs add(const Pass& pass, const Jobs& after) {
    return std::visit([&](const auto& what) { return add_one(what, after); }, pass.what);
  }
  Jobs add_one(const Then& then, Jobs after) {
    for (const Pass& pass : then.passes) after = add(pass, after);
    return after;
  }
  Jobs add_one(const Times& times, Jobs after) {
    for (int i = 0; i < static_cast<int>(times.count); ++i) after = add(times.pass.front(), after);
    return after;
  }
  Jobs add_one(const Beside& beside, const Jobs& after) {
    Jobs ends = add(beside.passes[0], after);
    for (const std::size_t job : add(beside.passes[1], after)) ends.push_back(job);
    return ends;
  }
  Jobs add_one(const Part& part, Jobs after) {
    for (int i = 0; i < static_cast<int>(part.count); ++i) after = add_task(part.task, 1, part.seconds, after);
    return after;
  }
  Jobs add_one(const RoutedPart& part, Jobs after) {
    const double hits = part.drafting ? counts_.draft_hits : counts_.hits;
    const double misses = part.drafting ? counts_.draft_misses : counts_.misses;
    for (std::uint32_t layer = 0; layer < model_->moe_layers; ++layer)
      after = add_task(part.work.at(hits, misses), coupled_load(system_, hits), 0, after);
    return after;
  }
  Jobs add_task(const Task& task, double load, double seconds, const Jobs& after) {
    const Work work = hw::run(system_, task, load).work;
    Jobs jobs;
    for (std::size_t r = 0; r < work.size(); ++r) {
      const double needed = resource_seconds(system_, work, r, load);
      if (needed > 0) jobs.push_back(machine_.add({r}, needed, after));
    }
    if (jobs.empty()) jobs.push_back(machine_.add({}, 0, after));
    return seconds > 0 ? Jobs{machine_.add({}, seconds, jobs)} : jobs;
  }

  const System& system_;
  const Model* model_;
  MeanCounts counts_;
  EventMachine machine_;
};

double roof_of(const System& system, const Pass& pass) {
  return sum_pass(system, pass, {{1}, 1}, [](const RoutedPart&, double, PassTotals&) {}).groups.front().seconds;
}

// ---- transfers over a mesh, every link of a path held for the whole transfer

std::size_t link_between(std::size_t x, std::size_t y, bool upwards) {
  return 2 * (8 * y + x) + (upwards ? 1 : 0);
}

/// The links of a transfer, along x first.
std::vector<std::size_t> path(std::size_t x, std::size_t y, std::size_t to_x, std::size_t to_y) {
  std::vector<std::size_t> links;
  for (; x < to_x; ++x) links.push_back(link_between(x, y, false));
  for (; y < to_y; ++y) links.push_back(link_between(x, y, true));
  return links;
}

TEST(Events, TransfersThatShareALinkFollowEachOtherAndOthersDoNot) {
  EventMachine shared(128);
  shared.add(path(0, 0, 2, 0), 1);
  shared.add(path(1, 0, 2, 0), 1);
  EXPECT_EQ(shared.run(), 2);  // as the rule of the most loaded link: 2 transfers of 1 s
  EventMachine apart(128);
  const std::size_t a = apart.add(path(0, 0, 2, 0), 1), b = apart.add(path(1, 0, 1, 1), 1);
  EXPECT_EQ(apart.run(), 1);
  EXPECT_EQ(apart.end_of(a), 1);
  EXPECT_EQ(apart.end_of(b), 1);
}

TEST(Events, HeldPathsMayTakeLongerThanTheMostLoadedLink) {
  // Three transfers of 1 s in a row of links: each link carries at most two, but the middle one waits for the first and
  // the last for the middle one.
  EventMachine machine(128);
  machine.add(path(0, 0, 2, 0), 1);
  machine.add(path(1, 0, 3, 0), 1);
  machine.add(path(2, 0, 4, 0), 1);
  EXPECT_EQ(machine.run(), 3);
}

// ---- passes

Resource server(double per_second) {
  Resource resource;
  resource.kind = ResourceKind::store;
  resource.seconds_per = 1 / per_second;
  return resource;
}

System servers(std::size_t number) {
  System system;
  for (std::size_t r = 0; r < number; ++r) system.resources.push_back(server(1));
  return system;
}

Pass part_of(const std::vector<double>& amounts, double seconds = 0, double count = 1) {
  Task task;
  for (std::size_t r = 0; r < amounts.size(); ++r) task.own.add(r, amounts[r]);
  return {Part{RoundPart::verify_attention, count, task, seconds}};
}

TEST(Events, OnePartLastsAsLongAsItsSlowestResourceAndPartsFollow) {
  const System system = servers(3);
  const Pass pass = then({part_of({3, 1, 2}), times(2, part_of({1, 4, 0}, 0.5)), part_of({0, 0, 0}, 0.25, 3)});
  EXPECT_DOUBLE_EQ(roof_of(system, pass), 3 + 2 * 4.5 + 0.75);
  EXPECT_DOUBLE_EQ(PassEvents(system).seconds(pass), roof_of(system, pass));
}

TEST(Events, BesideOnTheSameStagesTakesLongerThanTheRoof) {
  // Both need the first resource and then the second, a second each: neither is ever busy for more than 2 s, but the
  // second of the two starts late, and so ends late. The model's `beside` is a lower bound, and says so.
  const System system = servers(2);
  const Pass one = then({part_of({1, 0}), part_of({0, 1})});
  EXPECT_DOUBLE_EQ(roof_of(system, beside(one, one)), 2);
  EXPECT_DOUBLE_EQ(PassEvents(system).seconds(beside(one, one)), 3);
}

/// Random passes of a few parts; those on the two sides of a `beside` use the resources of `first` and `second`.
class RandomPass {
 public:
  explicit RandomPass(std::uint32_t seed) : random_(seed) {}

  Pass chain(const std::vector<std::size_t>& on, std::size_t resources) {
    std::vector<Pass> passes;
    for (std::uint32_t i = 0; i <= random_() % 4; ++i) {
      std::vector<double> amounts(resources, 0);
      for (const std::size_t r : on) amounts[r] = random_() % 3 == 0 ? 0 : 0.1 * static_cast<double>(random_() % 50);
      Pass one = part_of(amounts, random_() % 4 == 0 ? 0.3 : 0, 1 + random_() % 3);
      passes.push_back(random_() % 4 == 0 ? times(1 + random_() % 3, std::move(one)) : std::move(one));
    }
    return then(std::move(passes));
  }
  std::uint32_t number() { return random_(); }

 private:
  std::mt19937 random_;
};

TEST(Events, NeverEndBeforeTheRoofAndMeetItWhereNothingIsShared) {
  const System system = servers(6);
  const std::vector<std::size_t> low{0, 1, 2}, high{3, 4, 5}, all{0, 1, 2, 3, 4, 5};
  double longest = 1;
  for (std::uint32_t seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE(seed);
    RandomPass random(seed);
    const bool shares = random.number() % 2 == 0;
    const Pass pass =
        then({random.chain(all, 6), beside(random.chain(shares ? all : low, 6), random.chain(shares ? all : high, 6)),
              random.chain(all, 6)});
    const double roof = roof_of(system, pass), events = PassEvents(system).seconds(pass);
    EXPECT_GE(events, roof * (1 - 1e-12));
    if (!shares) {
      EXPECT_NEAR(events, roof, 1e-9);
    }
    longest = std::max(longest, events / roof);
  }
  RecordProperty("longest_over_the_roof", std::to_string(longest));
  EXPECT_GT(longest, 1.05);
  EXPECT_LT(longest, 2);  // two chains, one after the other, would be no longer than twice the roof
}

TEST(Events, RoundsOfEveryMachineThatPrefetchesNothingAreTheModelsOwn) {
  const Model model = read_model("gpt-oss-20b");
  for (const char* name : {"xpu", "elmoe3d-8gb", "rtx4090-ddr5", "mi210-x2", "gb10"}) {
    const System system = read_system(name);
    const Serving serving{1024, 1, 2, 4};
    for (const Scheme& scheme : {autoregressive(), find_scheme("eagle")}) {
      const Placement placement = place(system, scheme, model, serving, model.moe_layers);
      const Plan plan = scheme.plan(system, model, serving, placement);
      const MeanCounts counts{system.has_cache() ? 3.0 : 0.0, 2, 1, 1};
      const double model_seconds = at_means(system, model, plan.round, counts).seconds;
      EXPECT_NEAR(PassEvents(system, &model, counts).seconds(plan.round), model_seconds, 1e-9 * model_seconds) << name;
    }
  }
}

TEST(Events, ExpertsFetchedAheadQueueBehindThoseThatMissed) {
  const Model model = read_model("gpt-oss-20b");
  Preset preset = read_preset(find_preset("systems", "rtx4090-ddr5"));
  for (const auto& [key, value, unit] :
       {std::tuple{"prefetch.layers", 1.0, "count"}, std::tuple{"prefetch.recall", 0.5, "share"},
        std::tuple{"prefetch.precision", 0.8, "share"}})
    preset.constants.push_back({key, value, unit, "assumed", "a predictor"});
  const System system = make_system(preset);
  const Serving serving{1024, 1, 0, 8};
  const Placement placement = place(system, autoregressive(), model, serving, model.moe_layers);
  const Plan plan = autoregressive().plan(system, model, serving, placement);
  const double roof = at_means(system, model, plan.round, {2, 2, 0, 0}).seconds;
  const double events = PassEvents(system, &model, {2, 2, 0, 0}).seconds(plan.round);
  EXPECT_GE(events, roof * (1 - 1e-12));
  EXPECT_LT(events, 1.5 * roof);
}

}  // namespace
}  // namespace moecarlo::hw
