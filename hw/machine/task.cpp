#include "hw/machine/task.hpp"

#include <algorithm>
#include <cmath>

namespace moecarlo::hw {
namespace {

/// One resource's seconds as a function of the share s that the helper takes: constant + s x slope.
struct Line {
  double constant = 0, slope = 0;
};

/// The helper's resources, ever busier with its share, meet the first unit's, ever less busy: the largest share up to
/// which none of the first is the slowest.
double balanced_share(const System& system, const Task& task, double load) {
  const std::size_t size = std::max({task.own.size(), task.here.size(), task.there.size()});
  std::array<Line, kMostResources> lines{};
  for (std::size_t r = 0; r < size; ++r) {
    const double own = resource_seconds(system, task.own, r, load), here = resource_seconds(system, task.here, r, load);
    lines[r] = {own + here, resource_seconds(system, task.there, r, load) - here};
  }
  double share = 1;
  for (std::size_t r = 0; r < size; ++r) {
    if (!(lines[r].slope > 0)) continue;
    double meets = 0;
    for (std::size_t other = 0; other < size; ++other) {
      if (lines[other].slope > 0) continue;
      meets = std::max(meets, (lines[other].constant - lines[r].constant) / (lines[r].slope - lines[other].slope));
    }
    share = std::min(share, meets);
  }
  return share;
}

Work take(const Task& task, double share) {
  Work work = task.own;
  work += (1 - share) * task.here;
  return work += share * task.there;
}

/// Expected number in the fullest of `groups` groups of so many experts: the sum over m of P(some group holds more than
/// m). The chance that none does is n! / groups^n times the coefficient of x^n in (sum of x^i / i!, i <= m)^groups.
double mean_largest(std::size_t experts, double groups) {
  double mean = 0;
  for (std::size_t most = 0; most < experts; ++most) {
    // Poisson weights of mean experts / groups in place of 1 / i!, so that nothing overflows.
    const double rate = static_cast<double>(experts) / groups;
    std::vector<double> one(most + 1), all{1.0};
    for (std::size_t i = 0; i <= most; ++i) {
      one[i] = std::exp(static_cast<double>(i) * std::log(rate) - rate - std::lgamma(static_cast<double>(i) + 1));
    }
    for (int group = 0; group < static_cast<int>(groups); ++group) {
      std::vector<double> next(std::min(experts + 1, all.size() + most), 0.0);
      for (std::size_t a = 0; a < all.size(); ++a) {
        for (std::size_t b = 0; b <= most && a + b < next.size(); ++b) next[a + b] += all[a] * one[b];
      }
      all = std::move(next);
    }
    const double total = static_cast<double>(experts);
    const double poisson = std::exp(total * std::log(total) - total - std::lgamma(total + 1));
    const double none_above = all.size() > experts ? all[experts] / poisson : 0;
    mean += 1 - none_above;
    if (none_above > 1 - 1e-12) break;
  }
  return mean;
}

double helped_share(const System& system, std::size_t tier, double share) {
  return system.helper && tier == system.home() ? share : 0;
}

}  // namespace

Task& Task::operator+=(const Task& other) {
  own += other.own;
  here += other.here;
  there += other.there;
  return *this;
}

Task operator+(Task a, const Task& b) {
  return a += b;
}

Task operator*(double factor, Task task) {
  task.own *= factor;
  task.here *= factor;
  task.there *= factor;
  return task;
}

double resource_seconds(const System& system, const Work& work, std::size_t resource, double load) {
  const Resource& on = system.resources[resource];
  const double seconds = work.amount(resource) * on.seconds_per;
  return (on.groups > 1 ? load * seconds : seconds) + work.messages(resource) * on.message_seconds;
}

double seconds_of(const System& system, const Work& work, double load) {
  double seconds = 0;
  for (std::size_t r = 0; r < work.size(); ++r) seconds = std::max(seconds, resource_seconds(system, work, r, load));
  return seconds;
}

Done run(const System& system, const Task& task, double load) {
  if (!system.helper || task.there.size() == 0) {
    Work work = task.own;
    work += task.here;
    return {seconds_of(system, work, load), work};
  }
  if (system.helper->works_beside) {
    const Work work = take(task, balanced_share(system, task, load));
    return {seconds_of(system, work, load), work};
  }
  const Work alone = take(task, 0);
  const double seconds = seconds_of(system, alone, load);
  const double in_turn = seconds_of(system, task.own, load) + seconds_of(system, task.there, load);
  return in_turn < seconds ? Done{in_turn, take(task, 1)} : Done{seconds, alone};
}

double busiest_group(double experts, double groups) {
  if (groups <= 1 || experts <= 0) return 1;
  const auto below = static_cast<std::size_t>(experts);
  const double share = experts - static_cast<double>(below);
  const double lower = below == 0 ? 0 : mean_largest(below, groups);
  const double largest = share == 0 ? lower : (1 - share) * lower + share * mean_largest(below + 1, groups);
  return largest * groups / experts;
}

double coupled_load(const System& system, double experts) {
  return busiest_group(experts, system.groups());
}

Work compute(const Unit& unit, const std::vector<Matrix>& matrices, double tokens, double weight_bits,
             double multiplied) {
  Work work;
  for (const Matrix& matrix : matrices) {
    work.add(unit.operations, multiplied * (2 * matrix.weights() * tokens * unit.passes(weight_bits)));
    if (unit.broadcast) work.add(*unit.broadcast, matrix.inputs * tokens * unit.elements);
    if (unit.collect) work.add(*unit.collect, matrix.outputs * tokens * unit.output_bytes);
  }
  return work;
}

Work decode(const Unit& unit, double weights, double weight_bits) {
  Work work;
  if (unit.decode > 0 && weight_bits < unit.bits_per_pass) work.add(unit.operations, unit.decode * weights);
  return work;
}

Work read(const System& system, const Unit& unit, std::size_t tier, double bytes, double messages) {
  Work work;
  for (const std::uint8_t crossed : unit.paths[tier]) {
    const double page = system.resources[crossed].page_bytes;
    const bool rounds = page > 0 && messages > 0;
    work.add(crossed, rounds ? messages * page * std::ceil(bytes / messages / page) : bytes, messages);
  }
  return work;
}

Work write(const System& system, std::size_t tier, double bytes) {
  Work work;
  work.add(system.tiers[tier].written, bytes);
  return work;
}

Task compute_shared(const System& system, const std::vector<Matrix>& matrices, double tokens, double weight_bits,
                    double helped, double multiplied) {
  Task task{compute(system.units.front(), matrices, tokens, weight_bits, multiplied), {}, {}};
  const double share = helped_share(system, system.home(), helped);
  if (share == 0) return task;
  const Unit &first = system.units.front(), &helper = system.units[system.helper->unit];
  const double operations = task.own.amount(first.operations);
  task.own.scale(first.operations, 1 - share);
  task.here.add(first.operations, share * operations);
  task.there.add(helper.operations, share * operations / first.passes(weight_bits) * helper.passes(weight_bits));
  return task;
}

Task operate_shared(const System& system, double multiply_adds, double bits, double helped) {
  const double share = helped_share(system, system.home(), helped);
  const Unit& first = system.units.front();
  const double operations = 2 * multiply_adds * first.passes(bits);
  Task task;
  task.own.add(first.operations, (1 - share) * operations);
  if (share == 0) return task;
  const Unit& helper = system.units[system.helper->unit];
  task.here.add(first.operations, share * operations);
  task.there.add(helper.operations, share * 2 * multiply_adds * helper.passes(bits));
  return task;
}

Task read_shared(const System& system, std::size_t tier, double bytes, double helped) {
  const double share = helped_share(system, tier, helped);
  Task task{read(system, system.units.front(), tier, (1 - share) * bytes), {}, {}};
  if (share == 0) return task;
  task.here = read(system, system.units.front(), tier, share * bytes);
  task.there = read(system, system.units[system.helper->unit], tier, share * bytes);
  return task;
}

double joules_of(const System& system, const Work& work, double seconds) {
  double joules = system.watts() * seconds;
  for (std::size_t r = 0; r < work.size(); ++r) joules += work.amount(r) * system.resources[r].joules_per;
  return joules;
}

JoulesByStanding joules_by_standing(const System& system, const Work& work, double seconds) {
  std::array<double, kStandings> joules{};
  for (std::size_t s = 0; s < kStandings; ++s) joules[s] = system.static_watts[s] * seconds;
  for (std::size_t r = 0; r < work.size(); ++r) {
    const Resource& on = system.resources[r];
    joules[static_cast<std::size_t>(on.energy_standing)] += work.amount(r) * on.joules_per;
  }
  return {joules[0], joules[1], joules[2]};
}

double operations_of(const System& system, const Work& work) {
  double operations = 0;
  for (std::size_t r = 0; r < work.size(); ++r) {
    if (system.resources[r].kind == ResourceKind::unit) operations += work.amount(r);
  }
  return operations;
}

double bytes_read(const System& system, const Work& work) {
  double bytes = 0;
  for (std::size_t r = 0; r < work.size(); ++r) {
    const bool writes = std::any_of(system.tiers.begin(), system.tiers.end(), [&](const Tier& tier) {
      return &tier != &system.tiers.back() && tier.written == r;
    });
    if (system.resources[r].kind == ResourceKind::store && !writes) bytes += work.amount(r);
  }
  return bytes;
}

}  // namespace moecarlo::hw
