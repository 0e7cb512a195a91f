#pragma once

#include <cstdint>
#include <vector>

#include "hw/model.hpp"
#include "hw/system.hpp"

namespace moecarlo::hw {

/// What some piece of a step moves and computes. Work adds up and scales; time does not.
struct Work {
  double hb_bytes = 0;          ///< read from hybrid-bonded DRAM
  double hb_written_bytes = 0;  ///< written behind the reads: energy, no time
  double ext_bytes = 0;         ///< read from external DRAM
  double ops = 0;               ///< 2 per multiply-accumulate and pass through the multipliers
  double broadcast_bytes = 0;   ///< activations that every PE receives (bytes of one PE)
  double collected_bytes = 0;   ///< outputs, all PEs together

  Work& operator+=(const Work& other);
};
Work operator+(Work a, const Work& b);
Work operator*(double factor, Work work);

/// The least seconds that each resource needs for some work. They run concurrently.
struct Roofs {
  double hb = 0, ext = 0, compute = 0, link = 0;

  /// The time the work takes: its slowest resource.
  double seconds() const;
};

/// Rules of the machine: ELMoE-3D, arXiv 2604.14626. A matrix is split over the PEs by outputs, so that each PE
/// receives every activation on its streamline link, with its share of what EXT delivers, and sends its outputs over
/// its aggregation link; the two links work side by side. All banks are taken as equally loaded.
Roofs roofs(const System& system, const Work& work);

/// Bytes over the links of all PEs together.
double link_bytes(const System& system, const Work& work);

/// Joules by category.
struct Energy {
  double compute = 0, ext = 0, hb = 0, communication = 0, static_ = 0;
  double total() const { return compute + ext + hb + communication + static_; }
};
Energy energy(const System& system, const Work& work, double seconds);

/// Multiplication of `tokens` activation vectors by each matrix, weights of so many bits, 8-bit activations. No weight
/// is read: the functions below add that.
Work compute(const System& system, const std::vector<Matrix>& matrices, double tokens, double weight_bits);

/// Reading `bytes`; from HB where the system has it, else from EXT.
Work read_nearest(const System& system, double bytes);
Work read_hb(double bytes);
Work read_ext(double bytes);

}  // namespace moecarlo::hw
