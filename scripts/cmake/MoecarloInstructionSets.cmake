# Compiles the hot loops of the CPU backend, an object for each instruction set and width of mask;
# host/simulate/cpu_dispatch.cpp chooses when the program starts. So a plain Release build is fast on any machine. Wide
# masks, of more than 256 experts, are rare: they have the baseline's code.
get_target_property(sources moecarlo_simulate SOURCES)
list(FILTER sources EXCLUDE REGEX "cpu_kernel\\.cpp$")
set_target_properties(moecarlo_simulate PROPERTIES SOURCES "${sources}")

# moecarlo_cpu_kernels(SET "WORDS ..." OPTION...)
function(moecarlo_cpu_kernels set widths)
  foreach(words IN LISTS widths)
    set(kernel moecarlo_kernel_${set}_${words})
    add_library(${kernel} OBJECT host/simulate/cpu_kernel.cpp)
    target_link_libraries(${kernel} PRIVATE moecarlo_flags)
    target_compile_definitions(${kernel} PRIVATE MOECARLO_SET=${set} MOECARLO_WORDS=${words} MOECARLO_RUN=run_${words})
    target_compile_options(${kernel} PRIVATE -Wno-psabi ${ARGN})
    target_sources(moecarlo_simulate PRIVATE $<TARGET_OBJECTS:${kernel}>)
    set_property(GLOBAL APPEND PROPERTY MOECARLO_CPU_KERNELS $<TARGET_OBJECTS:${kernel}>)
  endforeach()
endfunction()

moecarlo_cpu_kernels(baseline "1;2;4")
moecarlo_cpu_kernels(baseline "8;16" -O2)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  moecarlo_cpu_kernels(x86_64_v3 "1;2;4" -march=x86-64-v3)
  moecarlo_cpu_kernels(x86_64_v4 "1;2;4" -march=x86-64-v4 -mavx512vpopcntdq -mavx512vbmi -mavx512vbmi2)
  target_compile_definitions(moecarlo_simulate PRIVATE MOECARLO_X86_64)
endif()
