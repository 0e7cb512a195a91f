# Compiles the loops of the CPU backend, an object for each instruction set and width of mask;
# host/simulate/cpu_dispatch.cpp chooses when the program starts. So a plain Release build is fast on any machine. Wide
# masks, of more than 256 experts, are rare: they have the baseline's code. -O2: g++ 12 makes no faster code at -O3, only
# more of it; the loops of vectors are the exception. In coupled code, which has no lanes, masks are written by the word
# and moved by the vector: vectors of 256 bits wait for that so long that slices of experts take a third more time.
#
# Each set has the whole core in a namespace of its own, since the macro `moecarlo` renames it there: else the linker would
# take a function that is not inlined from one set for all, and a processor might meet instructions that it has not.
get_target_property(sources moecarlo_simulate SOURCES)
list(FILTER sources EXCLUDE REGEX "cpu_(layers|coupled)\\.cpp$")
set_target_properties(moecarlo_simulate PROPERTIES SOURCES "${sources}")

# moecarlo_cpu_code(layers|coupled SET "WORDS ..." OPTION...)
function(moecarlo_cpu_code loops set widths)
  foreach(words IN LISTS widths)
    set(code moecarlo_${loops}_${set}_${words})
    add_library(${code} OBJECT host/simulate/cpu_${loops}.cpp)
    target_link_libraries(${code} PRIVATE moecarlo_flags)
    target_compile_definitions(${code} PRIVATE moecarlo=moecarlo_${set}
      MOECARLO_SET=${set} MOECARLO_WORDS=${words} MOECARLO_RUN=moecarlo_${loops}_${set}_${words})
    target_compile_options(${code} PRIVATE -Wno-psabi ${ARGN})
    target_sources(moecarlo_simulate PRIVATE $<TARGET_OBJECTS:${code}>)
    set_property(GLOBAL APPEND PROPERTY MOECARLO_CPU_CODE $<TARGET_OBJECTS:${code}>)
  endforeach()
endfunction()

moecarlo_cpu_code(layers baseline "1;2;4;16" -O2)
moecarlo_cpu_code(coupled baseline "1;2;4;16" -O2)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64" AND NOT MOECARLO_SANITIZE STREQUAL "thread")  # no set has races of its own
  moecarlo_cpu_code(layers x86_64_v3 "1;2;4" -O2 -march=x86-64-v3)
  moecarlo_cpu_code(coupled x86_64_v3 "1;2;4" -O2 -march=x86-64-v3 -mprefer-vector-width=128)
  moecarlo_cpu_code(layers x86_64_v4 "1;2;4" -O3 -march=x86-64-v4 -mavx512vpopcntdq -mavx512vbmi -mavx512vbmi2)
  target_compile_definitions(moecarlo_simulate PRIVATE MOECARLO_X86_64)
endif()
