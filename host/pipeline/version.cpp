#include "host/pipeline/version.hpp"

namespace moecarlo {

std::string program_version() {
  return "moecarlo " MOECARLO_VERSION " (" MOECARLO_GIT_COMMIT ")";
}

}  // namespace moecarlo
