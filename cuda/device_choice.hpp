#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moecarlo {

// Which GPU a run takes, as plain functions of what drivers and builds say of themselves.

/// A GPU as its driver describes it.
struct DeviceFacts {
  std::string name;
  int capability = 0;  ///< compute capability: 10 x major + minor
};

/// Code that a build contains for one architecture.
struct DeviceCode {
  int capability = 0;
  bool binary = true;    ///< runs on the same major capability from this minor one on
  bool portable = true;  ///< PTX, which a driver compiles for any later capability
  bool exact = false;    ///< features of one architecture: runs on no other

  bool runs_on(int device_capability) const;
};

/// Of architectures as CMake names them, separated by blanks: "80 90", "86-real", "90a-virtual". Nothing where one of
/// them is only known to the compiler ("native").
std::vector<DeviceCode> device_code(std::string_view architectures);

/// Numbers of the GPUs that a build has code for; all of them where the code is not known.
std::vector<int> devices_with_code(const std::vector<DeviceFacts>& devices, const std::vector<DeviceCode>& code);

/// Why a build cannot use a GPU: "this build has no code for Tesla T4 (expected sm_80 or newer, found sm_75)".
std::string no_code_text(const DeviceFacts& device, const std::vector<DeviceCode>& code);

/// The GPU for a backend of "auto", "cpu" or "cuda"; nothing is the CPU. `wanted` is the one that the user named; else
/// the processes of a machine take the usable ones in turn, by their rank. "cuda" takes a GPU that is not usable, for
/// its own words to say why it cannot; "auto" does not.
std::optional<int> device_for(std::string_view backend, std::optional<std::uint32_t> wanted,
                              const std::vector<int>& usable, std::uint32_t rank);

}  // namespace moecarlo
