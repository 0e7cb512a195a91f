#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {
namespace {

Scheme asking(const char* name, const char* rule, const Preset& head) {
  Scheme scheme = eagle(head);
  scheme.name = name;
  scheme.asks_by = rule;
  return scheme;
}

}  // namespace

Scheme taer(const Preset& constants) {
  return asking("taer", "threshold", constants);
}

Scheme coalesce(const Preset& constants) {
  return asking("coalesce", "salient", constants);
}

}  // namespace moecarlo::hw
