#pragma once

#include <cstddef>
#include <vector>

#include "hw/machine/system.hpp"
#include "hw/model/layer.hpp"

namespace moecarlo::hw {

/// Work that is done at one time, all resources at once. Some of it may be done by either of two units: `here` by the
/// first or, instead, `there` by the one that helps it, in any share.
struct Task {
  Work own;
  Work here, there;

  Task& operator+=(const Task& other);
};
Task operator+(Task a, const Task& b);
Task operator*(double factor, Task task);

/// How long work takes and what was done. A task lasts as long as its slowest resource.
struct Done {
  double seconds = 0;
  Work work;
};

/// Seconds that one resource needs for work. `load`: the busiest group of the coupled store in multiples of the mean.
double resource_seconds(const System& system, const Work& work, std::size_t resource, double load = 1);

/// The slowest resource's.
double seconds_of(const System& system, const Work& work, double load = 1);

/// Where the helper works beside the first unit, the share that it takes is the one that ends first (the largest of
/// these); else it takes all that it can or nothing, whichever ends first, and the first unit waits for it.
Done run(const System& system, const Task& task, double load = 1);

/// Expected load of the busiest of `groups` groups, in multiples of the mean load, where so many experts lie in groups
/// at random. Between whole numbers of experts it is interpolated.
double busiest_group(double experts, double groups);

/// How much longer the coupled store takes to read so many experts than if its groups were equally loaded.
double coupled_load(const System& system, double experts);

/// Multiplication of `tokens` activation vectors by each matrix on a unit, weights of so many bits, 8-bit activations.
/// The operations count `multiplied` times (less than 1 where some are left out). No weight is read.
Work compute(const Unit& unit, const std::vector<Matrix>& matrices, double tokens, double weight_bits,
             double multiplied = 1);

/// Unpacking so many weights of a width that one pass does not take as it is.
Work decode(const Unit& unit, double weights, double weight_bits);

/// Reading `bytes` of a tier through what the unit sees of it, in so many messages.
Work read(const System& system, const Unit& unit, std::size_t tier, double bytes, double messages = 0);

/// Writing `bytes` into a tier, behind whatever else is done.
Work write(const System& system, std::size_t tier, double bytes);

/// The same operations and the same reading of the home tier as a task of which the helper may take a share; all of it
/// the first unit's where nobody helps.
Task compute_shared(const System& system, const std::vector<Matrix>& matrices, double tokens, double weight_bits,
                    double helped, double multiplied = 1);
Task operate_shared(const System& system, double multiply_adds, double bits, double helped);
Task read_shared(const System& system, std::size_t tier, double bytes, double helped);

/// Joules of work and of standing by for so long.
double joules_of(const System& system, const Work& work, double seconds);

/// The same by where the constants come from.
struct JoulesByStanding {
  double published = 0, derived = 0, assumed = 0;
  double total() const { return published + derived + assumed; }
};
JoulesByStanding joules_by_standing(const System& system, const Work& work, double seconds);

/// Operations of all units.
double operations_of(const System& system, const Work& work);

/// Bytes read of all stores.
double bytes_read(const System& system, const Work& work);

}  // namespace moecarlo::hw
