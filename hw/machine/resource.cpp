#include "hw/machine/resource.hpp"

#include <algorithm>

namespace moecarlo::hw {

void Work::add(std::size_t resource, double amount, double messages) {
  amounts_[resource] += amount;
  messages_[resource] += messages;
  size_ = std::max(size_, static_cast<std::uint8_t>(resource + 1));
}

void Work::add(double times, const Work& other) {
  for (std::size_t r = 0; r < other.size_; ++r) {
    amounts_[r] += times * other.amounts_[r];
    messages_[r] += times * other.messages_[r];
  }
  size_ = std::max(size_, other.size_);
}

Work& Work::operator+=(const Work& other) {
  for (std::size_t r = 0; r < other.size_; ++r) {
    amounts_[r] += other.amounts_[r];
    messages_[r] += other.messages_[r];
  }
  size_ = std::max(size_, other.size_);
  return *this;
}

Work& Work::operator*=(double factor) {
  for (std::size_t r = 0; r < size_; ++r) {
    amounts_[r] *= factor;
    messages_[r] *= factor;
  }
  return *this;
}

Work operator+(Work a, const Work& b) {
  return a += b;
}

Work operator*(double factor, Work work) {
  return work *= factor;
}

}  // namespace moecarlo::hw
