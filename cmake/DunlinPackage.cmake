# SPDX-License-Identifier: Apache-2.0
# `cpack -G DEB` in the build folder makes dunlin_VERSION_ARCH.deb (the command and the coordinator's unit),
# dunlin-gateway_VERSION_ARCH.deb (the unit of `dunlin gateway`), dunlin-node_VERSION_ARCH.deb (the daemon, its unit and /etc/default/dunlin-node) and, where it was built,
# python3-dunlin_VERSION_ARCH.deb (the Python module).
set(unit_folder lib/systemd/system)
if(TARGET dunlin)
  install(FILES ${PROJECT_SOURCE_DIR}/apps/dunlin/dunlin-fleet.service DESTINATION ${unit_folder} COMPONENT program)
  install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/dunlin RENAME copyright
          COMPONENT program)
  # The gateway is a command of the program: this package is its unit.
  install(FILES ${PROJECT_SOURCE_DIR}/apps/dunlin/dunlin-gateway.service DESTINATION ${unit_folder} COMPONENT gateway)
  install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/dunlin-gateway RENAME copyright
          COMPONENT gateway)
  install(FILES ${PROJECT_SOURCE_DIR}/apps/dunlin/dunlin-gateway.default DESTINATION /etc/default
          RENAME dunlin-gateway COMPONENT gateway EXCLUDE_FROM_ALL)
endif()
if(TARGET dunlin-node)
  install(TARGETS dunlin-node RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT node)
  dunlin_install_texts(dunlin-node node)
  install(FILES ${PROJECT_SOURCE_DIR}/apps/dunlin-node/dunlin-node.service DESTINATION ${unit_folder} COMPONENT node)
  install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/dunlin-node RENAME copyright
          COMPONENT node)
  # Not below the prefix, so for packages only.
  install(FILES ${PROJECT_SOURCE_DIR}/apps/dunlin-node/dunlin-node.default DESTINATION /etc/default
          RENAME dunlin-node COMPONENT node EXCLUDE_FROM_ALL)
endif()

if(TARGET dunlin_python)
  install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/python3-dunlin
          RENAME copyright COMPONENT python)
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "The Dunlin authors")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL program gateway node)
if(TARGET dunlin_python)
  list(APPEND CPACK_COMPONENTS_ALL python)
endif()
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
if(CMAKE_CROSSCOMPILING)
  set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE ${DUNLIN_ARCHITECTURE})
  set(CPACK_DUNLIN_READELF ${CMAKE_READELF})
  set(CPACK_DUNLIN_SYSROOT ${CMAKE_SYSROOT})
  set(CPACK_DUNLIN_PROGRAM ${PROJECT_BINARY_DIR}/apps/dunlin)
  set(CPACK_DUNLIN_NODE ${PROJECT_BINARY_DIR}/apps/dunlin-node)
  set(CPACK_PROJECT_CONFIG_FILE ${CMAKE_CURRENT_LIST_DIR}/DunlinPackageDepends.cmake)
else()
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
endif()
set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME dunlin)
set(CPACK_COMPONENT_PROGRAM_DESCRIPTION
    "${PROJECT_DESCRIPTION}
The command, with the coordinator of a fleet and its systemd unit.")
set(CPACK_DEBIAN_GATEWAY_PACKAGE_NAME dunlin-gateway)
set(CPACK_DEBIAN_GATEWAY_PACKAGE_DEPENDS "dunlin (= ${PROJECT_VERSION})")
set(CPACK_COMPONENT_GATEWAY_DESCRIPTION
    "${PROJECT_DESCRIPTION}
The systemd unit of the gateway, by which boards on serial lines join a fleet.")
set(CPACK_DEBIAN_NODE_PACKAGE_NAME dunlin-node)
set(CPACK_COMPONENT_NODE_DESCRIPTION
    "${PROJECT_DESCRIPTION}
The daemon of a board that learns in a fleet, with its systemd unit.")
set(CPACK_DEBIAN_PYTHON_PACKAGE_NAME python3-dunlin)
set(CPACK_DEBIAN_PYTHON_PACKAGE_SECTION python)
# The shared library is one version's of Python.
if(TARGET dunlin_python)
  math(EXPR python_next "${Python_VERSION_MINOR} + 1")
endif()
set(CPACK_DEBIAN_PYTHON_PACKAGE_DEPENDS "python3 (>= ${Python_VERSION_MAJOR}.${Python_VERSION_MINOR}), python3 (<< ${Python_VERSION_MAJOR}.${python_next}), python3-numpy")
set(CPACK_COMPONENT_PYTHON_DESCRIPTION
    "${PROJECT_DESCRIPTION}
The Python module `dunlin`.")
foreach(part NODE GATEWAY)
  string(TOLOWER ${part} name)
  file(WRITE ${PROJECT_BINARY_DIR}/${name}/conffiles "/etc/default/dunlin-${name}\n")
  set(CPACK_DEBIAN_${part}_PACKAGE_CONTROL_EXTRA ${PROJECT_BINARY_DIR}/${name}/conffiles)
  set(CPACK_DEBIAN_${part}_PACKAGE_CONTROL_STRICT_PERMISSION ON)
endforeach()
include(CPack)
