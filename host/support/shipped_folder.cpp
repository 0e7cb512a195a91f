#include "host/support/shipped_folder.hpp"

#include <cstdlib>
#include <system_error>

namespace moecarlo {

namespace fs = std::filesystem;

fs::path shipped_folder(const std::string& name, const std::string& in_source) {
  std::error_code unknown;
  if (const char* const own = std::getenv("MOECARLO_DATA"); own != nullptr && fs::is_directory(fs::path(own) / name))
    return fs::path(own) / name;
  const fs::path program = fs::read_symlink("/proc/self/exe", unknown);
  const fs::path beside = (program.parent_path() / MOECARLO_DATA_BESIDE / name).lexically_normal();
  if (!unknown && fs::is_directory(beside)) return beside;
  const fs::path source = fs::path(MOECARLO_SOURCE_TREE) / in_source;
  return fs::is_directory(source) ? source : fs::path(MOECARLO_INSTALLED_DATA) / name;
}

}  // namespace moecarlo
