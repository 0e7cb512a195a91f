#include "host/support/memory_limit.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

#include "host/support/error.hpp"

namespace moecarlo {
namespace {

constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

// "max" and a missing file both mean that nothing limits us there.
std::optional<std::uint64_t> read_number(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;
}

std::uint64_t read_field(const std::string& path, const std::string& field) {
  std::ifstream file(path);
  std::string name;
  std::uint64_t value = 0;
  for (std::string rest; file >> name >> value; std::getline(file, rest)) {
    if (name == field) return value;
  }
  return 0;
}

std::uint64_t system_available_bytes() {
  const std::uint64_t kib = read_field("/proc/meminfo", "MemAvailable:");
  return kib == 0 ? unlimited : kib * 1024;
}

// What the group's processes hold counts, except the page cache that the kernel drops first.
std::uint64_t left_in_group(const std::string& folder, const char* limit, const char* usage, const char* droppable) {
  const auto most = read_number(folder + "/" + limit);
  const auto used = read_number(folder + "/" + usage);
  if (!most || !used) return unlimited;
  const std::uint64_t held = *used - std::min(*used, read_field(folder + "/memory.stat", droppable));
  return *most - std::min(*most, held);
}

std::uint64_t control_group_available_bytes() {
  std::uint64_t least = unlimited;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const auto second_colon = line.find(':', line.find(':') + 1);
    if (second_colon == std::string::npos) continue;
    std::string group = line.substr(second_colon + 1);
    const bool unified = line.rfind("0::", 0) == 0;
    if (!unified && line.find(":memory:") == std::string::npos) continue;
    for (;;) {  // a limit of any group above holds too; inside a container only the root is visible
      if (group == "/") group.clear();
      least = std::min(
          least, unified ? left_in_group("/sys/fs/cgroup" + group, "memory.max", "memory.current", "inactive_file")
                         : left_in_group("/sys/fs/cgroup/memory" + group, "memory.limit_in_bytes",
                                         "memory.usage_in_bytes", "total_inactive_file"));
      if (group.empty()) break;
      const auto slash = group.rfind('/');
      group.erase(slash == std::string::npos ? 0 : slash);
    }
  }
  return least;
}

}  // namespace

std::uint64_t available_memory_bytes() {
  return std::min(system_available_bytes(), control_group_available_bytes());
}

void expect_memory(std::uint64_t bytes, const std::string& what) {
  const std::uint64_t available = available_memory_bytes();
  if (bytes <= available) return;
  fail(ErrorKind::machine, "{} does not fit the memory (needs {} MiB, available {} MiB)", what, bytes >> 20,
       available >> 20);
}

}  // namespace moecarlo
