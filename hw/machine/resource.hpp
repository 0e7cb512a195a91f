#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace moecarlo::hw {

constexpr std::size_t kMostResources = 32;  ///< of one system

enum class ResourceKind : std::uint8_t { store, unit, link };

/// Where a constant comes from; what was fitted counts as derived, what was measured as published.
enum class Standing : std::uint8_t { published, derived, assumed };
constexpr std::size_t kStandings = 3;

/// What takes time or energy in proportion to an amount: a memory or a link to bytes, a processor to operations. What a
/// unit sees of a memory at a rate of its own is a resource too.
struct Resource {
  std::string table;   ///< of the preset
  std::string name;    ///< its figures in a breakdown are called so; several may share a name
  std::string energy;  ///< the category that its energy counts as
  ResourceKind kind{};
  double seconds_per = 0;      ///< of one byte or operation; 0: it never holds anything up
  double joules_per = 0;       ///< of one byte or operation
  double message_seconds = 0;  ///< until the first byte of a message
  double page_bytes = 0;       ///< the bytes of a message are rounded up to whole pages; 0: they are not
  /// Coupled to a unit: an expert lies in one of this many groups of its banks, and groups without one idle.
  double groups = 1;
  Standing energy_standing{};  ///< of joules_per
};

/// What some piece of a pass moves and computes: an amount for each resource of one system, and messages where a
/// latency counts. Work adds up and scales; time does not. A system has few resources, and millions of these are added
/// up for a study: what lies behind the last one used is neither set nor copied.
class Work {
 public:
  Work() {}
  Work(const Work& other) { *this = other; }
  Work& operator=(const Work& other) {
    size_ = other.size_;
    for (std::size_t r = 0; r < size_; ++r) amounts_[r] = other.amounts_[r];
    return *this;
  }

  double amount(std::size_t resource) const { return resource < size_ ? amounts_[resource].amount : 0; }
  double messages(std::size_t resource) const { return resource < size_ ? amounts_[resource].messages : 0; }
  std::size_t size() const { return size_; }  ///< resources from here on are not used

  void add(std::size_t resource, double amount, double messages = 0) {
    reach(resource + 1);
    amounts_[resource].amount += amount;
    amounts_[resource].messages += messages;
  }
  /// So many times other work.
  void add(double times, const Work& other) {
    reach(other.size_);
    for (std::size_t r = 0; r < other.size_; ++r) {
      amounts_[r].amount += times * other.amounts_[r].amount;
      amounts_[r].messages += times * other.amounts_[r].messages;
    }
  }
  void scale(std::size_t resource, double factor) {
    if (resource < size_) amounts_[resource].amount *= factor;
  }

  Work& operator+=(const Work& other) {
    reach(other.size_);
    for (std::size_t r = 0; r < other.size_; ++r) {
      amounts_[r].amount += other.amounts_[r].amount;
      amounts_[r].messages += other.amounts_[r].messages;
    }
    return *this;
  }
  Work& operator*=(double factor) {
    for (std::size_t r = 0; r < size_; ++r) {
      amounts_[r].amount *= factor;
      amounts_[r].messages *= factor;
    }
    return *this;
  }

 private:
  struct Amount {
    double amount, messages;
  };
  void reach(std::size_t size) {
    while (size_ < size) amounts_[size_++] = {0, 0};
  }

  std::array<Amount, kMostResources> amounts_;
  std::uint8_t size_ = 0;
};
inline Work operator+(Work a, const Work& b) {
  return a += b;
}
inline Work operator*(double factor, Work work) {
  return work *= factor;
}

}  // namespace moecarlo::hw
