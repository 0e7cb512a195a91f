#include "hw/scheme.hpp"

#include "host/support/error.hpp"

namespace moecarlo::hw {

std::vector<Scheme> schemes() {
  return {autoregressive(), elastic()};
}

Scheme find_scheme(const std::string& name) {
  std::string names;
  for (const Scheme& scheme : schemes()) {
    if (scheme.name == name) return scheme;
    names += (names.empty() ? "" : ", ") + scheme.name;
  }
  fail(ErrorKind::usage, "{}: no such scheme (expected one of {})", name, names);
}

bool applies(const Scheme& scheme, const System& system) {
  return system.hb.has_value() || !scheme.needs_hb;
}

}  // namespace moecarlo::hw
