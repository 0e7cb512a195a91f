# The version and git commit that the program states; configured anew after every commit.
if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/.git/logs/HEAD)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/.git/logs/HEAD)
endif()
execute_process(COMMAND git describe --always --dirty --abbrev=12
  WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} OUTPUT_VARIABLE MOECARLO_GIT_COMMIT
  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT MOECARLO_GIT_COMMIT)
  set(MOECARLO_GIT_COMMIT "unknown")
endif()
target_compile_definitions(moecarlo PRIVATE
  MOECARLO_VERSION="${PROJECT_VERSION}" MOECARLO_GIT_COMMIT="${MOECARLO_GIT_COMMIT}")
