# Checks written in Python: the structure of the sources, and the scripts. Exit status 77 is a skip.
function(moecarlo_script_test name)
  add_test(NAME ${name} COMMAND ${ARGN} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77
    ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1;MOECARLO=$<TARGET_FILE:moecarlo>")
endfunction()

# The cross checks need h5py and numpy, which the first python3 on the path does not always have.
if(NOT MOECARLO_PYTHON)
  foreach(candidate python3 /usr/bin/python3)
    execute_process(COMMAND ${candidate} -c "import h5py, numpy" RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
    if(status EQUAL 0)
      set(MOECARLO_PYTHON ${candidate} CACHE STRING "A Python 3 with h5py and numpy, for the tests")
      break()
    endif()
  endforeach()
endif()
if(NOT MOECARLO_PYTHON)
  message(FATAL_ERROR "The tests need a python3 with h5py and numpy (packages python3-h5py python3-numpy)")
endif()

set(structure ${CMAKE_CURRENT_SOURCE_DIR}/structure)
moecarlo_script_test(structure.checks_fail_on_bad_examples
  ${MOECARLO_PYTHON} ${structure}/self_test.py ${CMAKE_CXX_COMPILER})
moecarlo_script_test(structure.includes_follow_the_rooms ${MOECARLO_PYTHON} ${structure}/includes.py ${PROJECT_SOURCE_DIR})
moecarlo_script_test(structure.rooms_are_pictured ${MOECARLO_PYTHON} ${structure}/rooms.py ${PROJECT_SOURCE_DIR})
moecarlo_script_test(structure.hostile_input_is_read_in_one_place ${MOECARLO_PYTHON} ${structure}/one_place.py ${PROJECT_SOURCE_DIR})
moecarlo_script_test(structure.core_headers_compile_alone
  ${MOECARLO_PYTHON} ${structure}/core_headers.py ${CMAKE_CXX_COMPILER} ${PROJECT_SOURCE_DIR})
moecarlo_script_test(structure.no_relaxed_constexpr
  ${MOECARLO_PYTHON} ${structure}/compile_flags.py ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
get_property(kernels GLOBAL PROPERTY MOECARLO_CPU_CODE)
moecarlo_script_test(structure.instruction_sets_share_no_code ${MOECARLO_PYTHON} ${structure}/kernel_symbols.py ${kernels})
moecarlo_script_test(structure.kernels_work_in_ptx ${MOECARLO_PYTHON} ${structure}/ptx.py ${PROJECT_SOURCE_DIR})

set(cross_check ${PROJECT_SOURCE_DIR}/scripts/cross_check)
moecarlo_script_test(scripts.exhaustive_self_test ${MOECARLO_PYTHON} ${cross_check}/exhaustive.py --self-test)
moecarlo_script_test(scripts.bitslice_self_test ${MOECARLO_PYTHON} ${cross_check}/bitslice.py --self-test)
moecarlo_script_test(scripts.numpy_baseline_self_test ${MOECARLO_PYTHON} ${cross_check}/numpy_baseline.py --self-test)
moecarlo_script_test(scripts.compare_tallies_sees_differences
  ${MOECARLO_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/scripts/compare_tallies_test.py)
moecarlo_script_test(scripts.golden_tallies_are_as_before
  ${MOECARLO_PYTHON} ${cross_check}/golden.py $<TARGET_FILE:golden_tallies> ${CMAKE_CURRENT_SOURCE_DIR}/golden/tallies.txt)
moecarlo_script_test(scripts.acceptance_models_are_compared
  ${MOECARLO_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/scripts/acceptance_test.py)
moecarlo_script_test(scripts.exhaustive_mode_agrees_with_numpy
  ${MOECARLO_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/scripts/exhaustive_agrees.py $<TARGET_FILE:moecarlo>)
moecarlo_script_test(scripts.damaged_files_break_nothing
  ${MOECARLO_PYTHON} ${PROJECT_SOURCE_DIR}/scripts/fuzz $<TARGET_FILE:moecarlo> --count 8)
moecarlo_script_test(scripts.scaling_page_is_that_of_its_figures
  ${MOECARLO_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/scripts/scaling_test.py)
moecarlo_script_test(scripts.shell_scripts_are_sound bash ${CMAKE_CURRENT_SOURCE_DIR}/scripts/shell.sh)

# The capture scripts. What needs torch and transformers is skipped where no Python has them (scripts/capture/venv).
set(capture ${CMAKE_CURRENT_SOURCE_DIR}/capture)
foreach(name import_arrays import_formats import_records import_engine_logs import_counts weights reference_model)
  moecarlo_script_test(capture.${name} ${MOECARLO_PYTHON} ${capture}/${name}_test.py $<TARGET_FILE:moecarlo>)
endforeach()
foreach(name models loss torch_scripts)
  moecarlo_script_test(capture.${name} bash ${capture}/with_torch.sh ${capture}/${name}_test.py $<TARGET_FILE:moecarlo>)
  set_tests_properties(capture.${name} PROPERTIES ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1;MOECARLO=$<TARGET_FILE:moecarlo>;OMP_NUM_THREADS=1")
endforeach()

# The Python package, in the first Python that has pandas and matplotlib; scripts/wheel-check tries it as installed.
moecarlo_script_test(python.package ${MOECARLO_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/python/package_test.py $<TARGET_FILE:moecarlo>)
moecarlo_script_test(python.types ${MOECARLO_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/python/typing_test.py $<TARGET_FILE:moecarlo>)
