# What is installed, and how the program finds its data afterwards: beside itself, wherever both were moved to. A wheel has
# the same layout, in the folders of the Python that it is installed into.
if(SKBUILD)
  set(program_folder ${SKBUILD_SCRIPTS_DIR})
  set(share ${SKBUILD_DATA_DIR}/share)
  set(data_beside ../share/moecarlo)
else()
  set(program_folder ${CMAKE_INSTALL_BINDIR})
  set(share ${CMAKE_INSTALL_DATADIR})
  file(RELATIVE_PATH data_beside ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_DATADIR}/moecarlo)
endif()
set_property(SOURCE host/support/shipped_folder.cpp APPEND PROPERTY COMPILE_DEFINITIONS
  MOECARLO_SOURCE_TREE="${CMAKE_CURRENT_SOURCE_DIR}" MOECARLO_DATA_BESIDE="${data_beside}"
  MOECARLO_INSTALLED_DATA="${CMAKE_INSTALL_FULL_DATADIR}/moecarlo")

# Man page and completions come from the program, which knows its commands.
set(described ${CMAKE_CURRENT_BINARY_DIR}/described)
file(MAKE_DIRECTORY ${described})
add_custom_command(OUTPUT ${described}/moecarlo.1 ${described}/moecarlo.bash ${described}/_moecarlo ${described}/moecarlo.fish
  COMMAND moecarlo man > ${described}/moecarlo.1
  COMMAND moecarlo completion bash > ${described}/moecarlo.bash
  COMMAND moecarlo completion zsh > ${described}/_moecarlo
  COMMAND moecarlo completion fish > ${described}/moecarlo.fish
  DEPENDS moecarlo VERBATIM COMMENT "Man page and shell completions")
add_custom_target(described ALL DEPENDS ${described}/moecarlo.1)

install(TARGETS moecarlo RUNTIME DESTINATION ${program_folder})
install(DIRECTORY hw/presets DESTINATION ${share}/moecarlo FILES_MATCHING PATTERN "*.toml" PATTERN "*.csv")
install(FILES datasets/README.md datasets/reference.md datasets/reference.h5 datasets/reference-weights.h5
  datasets/small-loss.json datasets/small-loss.md
  DESTINATION ${share}/moecarlo/datasets)
install(DIRECTORY docs DESTINATION ${share}/doc/moecarlo FILES_MATCHING PATTERN "*.md")
install(FILES README.md LICENSE DESTINATION ${share}/doc/moecarlo)
install(FILES ${described}/moecarlo.1 DESTINATION ${share}/man/man1)
install(FILES ${described}/moecarlo.bash DESTINATION ${share}/bash-completion/completions RENAME moecarlo)
install(FILES ${described}/_moecarlo DESTINATION ${share}/zsh/site-functions)
install(FILES ${described}/moecarlo.fish DESTINATION ${share}/fish/vendor_completions.d)
