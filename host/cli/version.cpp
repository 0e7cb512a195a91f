#include "host/cli/version.hpp"

namespace moecarlo::cli {

std::string program_version() {
  return "moecarlo " MOECARLO_VERSION " (" MOECARLO_GIT_COMMIT ")";
}

}  // namespace moecarlo::cli
