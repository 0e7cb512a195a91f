# shellcheck shell=bash
# Configure and build what this machine can. Needs steps.sh and packages.sh; run from the repository root.

# Sets BUILD (the build folder), CUDA_NOTE (what is built for the GPU, or why nothing) and CUDACXX when nvcc is usable.
choose_backend() {
  local nvcc release
  nvcc=${CUDACXX:-$(command -v nvcc || command -v /usr/local/cuda/bin/nvcc || true)}
  if [ -z "$nvcc" ]; then
    BUILD=build/cpu CUDA_NOTE="CPU only, no nvcc on this machine" CUDA_MODE=OFF
    return
  fi
  release=$("$nvcc" --version | sed -n 's/.*release \([0-9.]*\).*/\1/p')
  if [ "${release%%.*}" -lt 12 ]; then
    BUILD=build/cpu CUDA_NOTE="CPU only, CUDA $release is older than 12" CUDA_MODE=OFF
    return
  fi
  export CUDACXX=$nvcc
  BUILD=build/cuda CUDA_NOTE="CPU and CUDA $release" CUDA_MODE=AUTO
}

# As many compilers as there are cores and 2 GiB of memory for each.
job_count() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/^MemAvailable/ {print int($2 / 2097152)}' /proc/meminfo)
  [ "$memory" -ge 1 ] || memory=1
  echo $((cores < memory ? cores : memory))
}

# require_cmake  the build needs 3.25.
require_cmake() {
  local version
  version=$(cmake --version | sed -n '1s/[^0-9]*//p')
  [ "$(printf '3.25\n%s\n' "$version" | sort -V | head -n 1)" = 3.25 ] ||
    die "cmake is too old (expected 3.25 or newer, found $version)"
}

# configure CMAKE_ARGUMENT...  a Release build in $BUILD.
configure() {
  local options=(-G Ninja -DCMAKE_BUILD_TYPE=Release "-DMOECARLO_CUDA=$CUDA_MODE" "$@")
  if command -v ccache >/dev/null; then
    export CCACHE_SLOPPINESS=pch_defines,time_macros  # else it passes over what includes a precompiled header
    options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
    [ "$CUDA_MODE" = OFF ] || options+=(-DCMAKE_CUDA_COMPILER_LAUNCHER=ccache)
  fi
  require_cmake
  step configure "$BUILD, $CUDA_NOTE" "$BUILD/logs/configure.log" cmake -S . -B "$BUILD" "${options[@]}"
}

# build TARGET...
build() {
  step build "$*, $(job_count) jobs" "$BUILD/logs/build.log" cmake --build "$BUILD" -j "$(job_count)" --target "$@"
}

# Says what this build or machine leaves out; fails when CUDA was to be built and no CUDA object is there.
report_backends() {
  if [ "$CUDA_MODE" = OFF ]; then
    say "left out     $CUDA_NOTE: the CUDA backend and the PTX check of its kernels"
    return
  fi
  local objects
  objects=$(find "$BUILD" -name '*.cu.o' | wc -l)
  [ "$objects" -gt 0 ] || die "nvcc is here, but $BUILD holds no CUDA object"
  say "cuda         $objects CUDA objects compiled; the PTX check is the test structure.kernels_work_in_ptx"
  have_gpu || say "left out     no GPU on this machine: device tests skip (scripts/gpu-check is for one that has)"
}

have_gpu() { command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q '^GPU '; }
