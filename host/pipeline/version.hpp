#pragma once

#include <string>

namespace moecarlo {

/// Version and commit, e.g. "moecarlo 0.1.0 (1a2b3c4d5e6f)".
std::string program_version();

}  // namespace moecarlo
