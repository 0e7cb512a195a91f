# Compiles the hot loops of the CPU backend once for each instruction set; host/simulate/cpu_dispatch.cpp chooses one when
# the program starts. So a plain Release build is fast on any machine.
get_target_property(sources moecarlo_simulate SOURCES)
list(FILTER sources EXCLUDE REGEX "cpu_kernel\\.cpp$")
set_target_properties(moecarlo_simulate PROPERTIES SOURCES "${sources}")

function(moecarlo_cpu_kernel name)
  add_library(moecarlo_kernel_${name} OBJECT host/simulate/cpu_kernel.cpp)
  target_link_libraries(moecarlo_kernel_${name} PRIVATE moecarlo_flags)
  target_compile_definitions(moecarlo_kernel_${name} PRIVATE MOECARLO_RUN_BLOCK=run_block_${name}
    MOECARLO_SET=${name})
  target_compile_options(moecarlo_kernel_${name} PRIVATE -Wno-psabi ${ARGN})
  target_sources(moecarlo_simulate PRIVATE $<TARGET_OBJECTS:moecarlo_kernel_${name}>)
  set_property(GLOBAL APPEND PROPERTY MOECARLO_CPU_KERNELS $<TARGET_OBJECTS:moecarlo_kernel_${name}>)
endfunction()

moecarlo_cpu_kernel(baseline)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  moecarlo_cpu_kernel(x86_64_v3 -march=x86-64-v3)
  moecarlo_cpu_kernel(x86_64_v4 -march=x86-64-v4 -mavx512vpopcntdq -mavx512vbmi -mavx512vbmi2)
  target_compile_definitions(moecarlo_simulate PRIVATE MOECARLO_X86_64)
endif()
