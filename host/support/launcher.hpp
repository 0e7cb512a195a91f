#pragma once

#include <sys/types.h>

#include <array>

namespace moecarlo {

/// Processes that do what may fail: read a hostile file with a library that is not made for it. They are forked by the
/// launcher, a process that is itself forked while the program is small and has one thread, no device and no MPI; what
/// these map, lock or pin is in none of them.
namespace launcher {

/// A socket to whoever asked, a file, and memory that both share.
using Descriptors = std::array<int, 3>;
/// What a process does; it ends with the process.
using Body = void (*)(const Descriptors& descriptors);

/// Forks the launcher; the first thing of `main`. Without it, the first `launch` does.
void start();

/// A process in which `body` runs. Standard input and output are closed to it, and so is all but its descriptors.
pid_t launch(Body body, const Descriptors& descriptors);

/// Ends a process, if it has not ended yet, and says how it did: a status as of waitpid.
int end(pid_t process);

}  // namespace launcher
}  // namespace moecarlo
