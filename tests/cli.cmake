# End-to-end tests of the program, one CTest a file. Include after scripts.cmake, which finds the Python they need.
file(GLOB scripts CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/cli/*_test.py)
foreach(script ${scripts})
  get_filename_component(name ${script} NAME_WE)
  string(REGEX REPLACE "_test$" "" name ${name})
  moecarlo_script_test(cli.${name} ${MOECARLO_PYTHON} ${script} $<TARGET_FILE:moecarlo> ${MOECARLO_RECORDED_TRACES})
endforeach()
set_property(TEST cli.mpi APPEND PROPERTY ENVIRONMENT MOECARLO_ADD_UP=$<TARGET_FILE:cluster_add_up>)
set_property(TEST cli.faults APPEND PROPERTY ENVIRONMENT MOECARLO_FAULTS_LIBRARY=$<TARGET_FILE:faults>)
# They wait more than they compute: at the end they would run alone.
set_tests_properties(cli.slurm cli.mpi PROPERTIES COST 1000)
