#pragma once

#include <cstdint>
#include <vector>

#include "hw/machine/system.hpp"
#include "hw/model/model.hpp"

namespace moecarlo::hw {

/// What some piece of a step moves and computes. Work adds up and scales; time does not.
struct Work {
  double hb_bytes = 0;          ///< read from hybrid-bonded DRAM
  double hb_written_bytes = 0;  ///< written behind the reads: energy, no time
  double ext_bytes = 0;         ///< read from external DRAM over its bus
  double ops = 0;               ///< 2 per multiply-accumulate and pass through the multipliers of the logic
  double broadcast_bytes = 0;   ///< activations that every PE receives (bytes of one PE)
  double collected_bytes = 0;   ///< outputs, all PEs together
  double near_bytes = 0;        ///< as ext_bytes, but near memory may read them in its stead
  double near_ops = 0;          ///< as ops, but near memory may do them, with near_bytes

  Work& operator+=(const Work& other);
};
Work operator+(Work a, const Work& b);
Work operator*(double factor, Work work);

/// The least seconds that each resource needs for work as it stands. They run concurrently, but for near memory that
/// the logic has to wait for.
struct Roofs {
  double hb = 0, ext = 0, compute = 0, link = 0, near = 0;
  bool takes_turns = false;  ///< near memory and the logic: one works after the other

  /// The time the work takes: its slowest resource; that of the logic and then near memory where they take turns.
  double seconds() const;
};

/// Rules of the machine: ELMoE-3D, arXiv 2604.14626. A matrix is split over the PEs by outputs, so that each PE
/// receives every activation on its streamline link, with its share of what EXT delivers, and sends its outputs over
/// its aggregation link; the two links work side by side. `busiest_banks`: the load of the busiest banks of HB in
/// multiples of the mean.
Roofs roofs(const System& system, const Work& work, double busiest_banks = 1);

/// The work as the system divides it: what near memory does not take of near_bytes and near_ops has become ext_bytes
/// and ops. Where near memory works beside the logic, the split is the one that ends first; else it takes all of it or
/// nothing, whichever ends first by roofs(). Without near memory everything is the logic's.
Work divide(const System& system, Work work, double busiest_banks = 1);

/// Bytes over the links of all PEs together.
double link_bytes(const System& system, const Work& work);

/// Joules by category, of work that is divided. What near memory reads counts as EXT.
struct Energy {
  double compute = 0, ext = 0, hb = 0, communication = 0, static_ = 0;
  double total() const { return compute + ext + hb + communication + static_; }
};
Energy energy(const System& system, const Work& work, double seconds);

/// Multiplication of `tokens` activation vectors by each matrix, weights of so many bits, 8-bit activations. No weight
/// is read: the functions below add that.
Work compute(const System& system, const std::vector<Matrix>& matrices, double tokens, double weight_bits);

/// Reading `bytes`; from HB where the system has it, but for the share that it could not take, else from EXT.
Work read_nearest(const System& system, double bytes, double spilled_share = 0);
Work read_hb(double bytes);
Work read_ext(double bytes);

/// The same work, of which near memory may take this share of what EXT delivers and of the operations.
Work within_reach(double share, Work work);

}  // namespace moecarlo::hw
