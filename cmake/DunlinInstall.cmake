# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` puts down: every floor's headers and library for find_package(Dunlin), and the program.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

get_property(floors GLOBAL PROPERTY DUNLIN_FLOORS)
foreach(floor IN LISTS floors)
  install(TARGETS dunlin_${floor} EXPORT DunlinTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
endforeach()
get_property(folders GLOBAL PROPERTY DUNLIN_FOLDERS)
list(REMOVE_DUPLICATES folders)
foreach(folder IN LISTS folders)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder}/ DESTINATION include/dunlin/${folder}
          FILES_MATCHING PATTERN "*.hpp" PATTERN "*.ipp")
endforeach()

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/Dunlin)
install(EXPORT DunlinTargets NAMESPACE Dunlin:: DESTINATION ${package_folder})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/DunlinConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/DunlinConfig.cmake INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/DunlinConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/DunlinConfig.cmake ${PROJECT_BINARY_DIR}/DunlinConfigVersion.cmake
              ${CMAKE_CURRENT_LIST_DIR}/FindZeroMQ.cmake ${CMAKE_CURRENT_LIST_DIR}/FindSodium.cmake
        DESTINATION ${package_folder})

# A program's manual page and its completions for bash, zsh and fish (apps/CMakeLists.txt).
function(dunlin_install_texts program component)
  set(texts ${PROJECT_BINARY_DIR}/apps/texts/${program})
  install(FILES ${texts}/${program}.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT ${component})
  install(FILES ${texts}/${program} DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
          COMPONENT ${component})
  install(FILES ${texts}/_${program} DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions
          COMPONENT ${component})
  install(FILES ${texts}/${program}.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d
          COMPONENT ${component})
endfunction()

if(TARGET dunlin)
  install(TARGETS dunlin RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
  dunlin_install_texts(dunlin program)
endif()
