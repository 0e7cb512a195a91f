# Writes the version header anew at configure time: version, git commit, whether CUDA is built in.
execute_process(COMMAND git describe --always --dirty --abbrev=12
  WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} OUTPUT_VARIABLE MOECARLO_GIT_COMMIT
  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT MOECARLO_GIT_COMMIT)
  set(MOECARLO_GIT_COMMIT "unknown")
endif()
target_compile_definitions(moecarlo PRIVATE
  MOECARLO_VERSION="${PROJECT_VERSION}" MOECARLO_GIT_COMMIT="${MOECARLO_GIT_COMMIT}")
