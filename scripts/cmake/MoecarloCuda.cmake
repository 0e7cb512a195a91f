# Finds out whether the CUDA backend can be built (MOECARLO_HAVE_CUDA) and how to compile its sources.
set(MOECARLO_HAVE_CUDA OFF)
if(NOT MOECARLO_CUDA STREQUAL "OFF")
  # The architectures are named before CUDA is enabled: those of the GPUs here, or, where there is none, two that cover
  # most others. (CMake's own lists name architectures that newer toolkits have dropped.)
  if(NOT CMAKE_CUDA_ARCHITECTURES)
    set(capabilities "")
    execute_process(COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader
      OUTPUT_VARIABLE capabilities ERROR_QUIET RESULT_VARIABLE ignored)
    string(REGEX MATCHALL "[0-9]+\\.[0-9]" capabilities "${capabilities}")
    list(TRANSFORM capabilities REPLACE "\\." "")
    list(REMOVE_DUPLICATES capabilities)
    if(NOT capabilities)
      set(capabilities 80 90)
    endif()
    set(CMAKE_CUDA_ARCHITECTURES ${capabilities} CACHE STRING "CUDA architectures")
  endif()
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    set(MOECARLO_HAVE_CUDA ON)
    if(CMAKE_VERSION VERSION_LESS 3.25.2)  # earlier versions do not know that nvcc speaks C++20
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
    endif()
    set(CMAKE_CUDA_STANDARD 20)
    set(CMAKE_CUDA_STANDARD_REQUIRED ON)
    set(CMAKE_CUDA_EXTENSIONS OFF)
    set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
    find_package(CUDAToolkit REQUIRED)
  elseif(MOECARLO_CUDA STREQUAL "ON")
    message(FATAL_ERROR "MOECARLO_CUDA=ON, but no CUDA compiler was found (expected: nvcc on PATH or in CUDACXX)")
  endif()
endif()
message(STATUS "CUDA backend: ${MOECARLO_HAVE_CUDA}")

# Never --expt-relaxed-constexpr: nvcc 13 with the headers of g++ 12 then compiles the 64-bit functions of <bit> to wrong
# device code without a word. Warnings are errors here because one of them (#20013-D) reports that same mistake.
set(MOECARLO_NVCC_FLAGS -Werror=all-warnings)

function(moecarlo_cuda_library name)
  add_library(${name} STATIC ${ARGN})
  target_link_libraries(${name} PUBLIC CUDA::cudart_static)
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:${MOECARLO_NVCC_FLAGS} -Xcompiler=-Wall,-Wextra>)
endfunction()

# Compiles kernels of a library (cuda/kernels/KERNEL.cu) once for each width of mask, in words: no object takes long.
function(moecarlo_cuda_widths name widths)
  foreach(kernel IN LISTS ARGN)
    set_property(SOURCE cuda/kernels/${kernel}.cu PROPERTY HEADER_FILE_ONLY ON)  # of the library itself
    foreach(words IN LISTS widths)
      set(copy ${CMAKE_CURRENT_BINARY_DIR}/kernels/${kernel}_${words}.cu)
      file(CONFIGURE OUTPUT ${copy} CONTENT "#define MOECARLO_WORDS ${words}\n#include \"cuda/kernels/${kernel}.cu\"\n")
      target_sources(${name} PRIVATE ${copy})
    endforeach()
  endforeach()
endfunction()
