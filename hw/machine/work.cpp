#include "hw/machine/work.hpp"

#include <algorithm>

namespace moecarlo::hw {

Work& Work::operator+=(const Work& other) {
  hb_bytes += other.hb_bytes;
  hb_written_bytes += other.hb_written_bytes;
  ext_bytes += other.ext_bytes;
  ops += other.ops;
  near_bytes += other.near_bytes;
  near_ops += other.near_ops;
  broadcast_bytes += other.broadcast_bytes;
  collected_bytes += other.collected_bytes;
  return *this;
}

Work operator+(Work a, const Work& b) {
  return a += b;
}

Work operator*(double factor, Work work) {
  work.hb_bytes *= factor;
  work.hb_written_bytes *= factor;
  work.ext_bytes *= factor;
  work.ops *= factor;
  work.near_bytes *= factor;
  work.near_ops *= factor;
  work.broadcast_bytes *= factor;
  work.collected_bytes *= factor;
  return work;
}

namespace {

/// Seconds that near memory needs for its share of a work.
double near_seconds(const NearMemory& near, const Work& work) {
  return std::max(work.near_bytes / near.bytes_per_second, work.near_ops / near.ops_per_second);
}

Work take(Work work, double share) {
  work.ext_bytes += (1 - share) * work.near_bytes;
  work.ops += (1 - share) * work.near_ops;
  work.near_bytes *= share;
  work.near_ops *= share;
  return work;
}

/// The share at which near memory, ever busier, meets the slowest resource of the logic, ever less busy.
double balanced_share(const System& system, const Work& work) {
  const double near = near_seconds(*system.near, work);
  const auto meets = [&](double fixed, double movable, double rate) {
    const double all = (fixed + movable) / rate, gain = movable / rate;
    return all <= 0 ? 0.0 : all / (near + gain);
  };
  double share = std::max(meets(work.ext_bytes, work.near_bytes, system.ext_bytes_per_second),
                          meets(work.ops, work.near_ops, system.ops_per_second));
  if (system.links) {
    const double elements = system.processing_elements;
    share = std::max(share, meets(work.broadcast_bytes + work.ext_bytes / elements, work.near_bytes / elements,
                                  system.links->streamline_bytes_per_second));
  }
  return std::min(share, 1.0);
}

}  // namespace

double Roofs::seconds() const {
  const double logic = std::max({hb, ext, compute, link});
  return takes_turns ? logic + near : std::max(logic, near);
}

Roofs roofs(const System& system, const Work& work, double busiest_banks) {
  Roofs roofs;
  roofs.ext = work.ext_bytes / system.ext_bytes_per_second;
  roofs.compute = work.ops / system.ops_per_second;
  if (system.hb) roofs.hb = busiest_banks * work.hb_bytes / system.hb->bytes_per_second;
  if (system.links) {
    const double elements = system.processing_elements;
    roofs.link =
        std::max((work.broadcast_bytes + work.ext_bytes / elements) / system.links->streamline_bytes_per_second,
                 work.collected_bytes / elements / system.links->aggregation_bytes_per_second);
  }
  if (system.near) {
    roofs.near = near_seconds(*system.near, work);
    roofs.takes_turns = !system.near->works_beside;
  }
  return roofs;
}

Work divide(const System& system, Work work, double busiest_banks) {
  if (!system.near || (work.near_bytes == 0 && work.near_ops == 0)) return take(work, 0);
  if (system.near->works_beside) return take(work, balanced_share(system, work));
  const Work own = take(work, 0);
  return roofs(system, work, busiest_banks).seconds() < roofs(system, own, busiest_banks).seconds() ? work : own;
}

double link_bytes(const System& system, const Work& work) {
  if (!system.links) return 0;
  return work.broadcast_bytes * system.processing_elements + work.ext_bytes + work.collected_bytes;
}

Energy energy(const System& system, const Work& work, double seconds) {
  Energy energy;
  energy.compute = work.ops * system.joules_per_op;
  energy.ext = work.ext_bytes * system.ext_joules_per_byte;
  if (system.near) {
    energy.compute += work.near_ops * system.near->joules_per_op;
    energy.ext += work.near_bytes * system.near->read_joules_per_byte;
  }
  if (system.hb)
    energy.hb =
        work.hb_bytes * system.hb->read_joules_per_byte + work.hb_written_bytes * system.hb->write_joules_per_byte;
  if (system.links) energy.communication = link_bytes(system, work) * system.links->joules_per_byte;
  energy.static_ = system.static_watts * seconds;
  return energy;
}

Work compute(const System& system, const std::vector<Matrix>& matrices, double tokens, double weight_bits) {
  Work work;
  for (const Matrix& matrix : matrices) {
    work.ops += 2 * matrix.weights() * tokens * system.passes(weight_bits);
    if (!system.links) continue;
    work.broadcast_bytes += matrix.inputs * tokens;  // 8-bit activations
    work.collected_bytes += matrix.outputs * tokens * system.links->output_bytes;
  }
  return work;
}

Work read_hb(double bytes) {
  Work work;
  work.hb_bytes = bytes;
  return work;
}

Work read_ext(double bytes) {
  Work work;
  work.ext_bytes = bytes;
  return work;
}

Work read_nearest(const System& system, double bytes, double spilled_share) {
  if (!system.hb) return read_ext(bytes);
  return read_hb((1 - spilled_share) * bytes) + read_ext(spilled_share * bytes);
}

Work within_reach(double share, Work work) {
  work.near_bytes = share * work.ext_bytes;
  work.near_ops = share * work.ops;
  work.ext_bytes -= work.near_bytes;
  work.ops -= work.near_ops;
  return work;
}

}  // namespace moecarlo::hw
