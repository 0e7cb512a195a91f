#include "hw/work.hpp"

#include <algorithm>

namespace moecarlo::hw {

Work& Work::operator+=(const Work& other) {
  hb_bytes += other.hb_bytes;
  hb_written_bytes += other.hb_written_bytes;
  ext_bytes += other.ext_bytes;
  ops += other.ops;
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
  work.broadcast_bytes *= factor;
  work.collected_bytes *= factor;
  return work;
}

double Roofs::seconds() const {
  return std::max({hb, ext, compute, link});
}

Roofs roofs(const System& system, const Work& work) {
  Roofs roofs;
  roofs.ext = work.ext_bytes / system.ext_bytes_per_second;
  roofs.compute = work.ops / system.ops_per_second;
  if (system.hb) roofs.hb = work.hb_bytes / system.hb->bytes_per_second;
  if (system.links) {
    const double elements = system.processing_elements;
    roofs.link =
        std::max((work.broadcast_bytes + work.ext_bytes / elements) / system.links->streamline_bytes_per_second,
                 work.collected_bytes / elements / system.links->aggregation_bytes_per_second);
  }
  return roofs;
}

double link_bytes(const System& system, const Work& work) {
  if (!system.links) return 0;
  return work.broadcast_bytes * system.processing_elements + work.ext_bytes + work.collected_bytes;
}

Energy energy(const System& system, const Work& work, double seconds) {
  Energy energy;
  energy.compute = work.ops * system.joules_per_op;
  energy.ext = work.ext_bytes * system.ext_joules_per_byte;
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

Work read_nearest(const System& system, double bytes) {
  return system.hb ? read_hb(bytes) : read_ext(bytes);
}

}  // namespace moecarlo::hw
