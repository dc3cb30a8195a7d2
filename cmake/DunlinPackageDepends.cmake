# SPDX-License-Identifier: Apache-2.0
# Read by cpack in a cross build: dpkg-shlibdeps asks the database of the machine that builds, which knows nothing of
# the target. So names of packages are made from the names of shared libraries, as Debian Policy 8.1 has them, and each
# must be a package of the sysroot.
function(dunlin_depends program result)
  execute_process(COMMAND ${CPACK_DUNLIN_READELF} -d ${program} OUTPUT_VARIABLE dynamic COMMAND_ERROR_IS_FATAL ANY)
  string(REPLACE "[" "" dynamic "${dynamic}") # an open bracket would hold a list together
  string(REGEX MATCHALL "Shared library: [^]]+" libraries "${dynamic}")
  set(packages "")
  foreach(library IN LISTS libraries)
    string(REPLACE "Shared library: " "" library "${library}")
    if(library MATCHES "^(libc|libm|ld-linux.*)\\.so")
      set(package libc6)
    elseif(library MATCHES "^libz\\.so")
      set(package zlib1g)
    elseif(library MATCHES "^(.*[0-9])\\.so\\.(.*)$")
      set(package ${CMAKE_MATCH_1}-${CMAKE_MATCH_2})
    elseif(library MATCHES "^(.*)\\.so\\.(.*)$")
      set(package ${CMAKE_MATCH_1}${CMAKE_MATCH_2})
    endif()
    string(REPLACE "_" "-" package ${package})
    if(NOT EXISTS ${CPACK_DUNLIN_SYSROOT}/usr/share/doc/${package})
      message(FATAL_ERROR "${program} needs ${library}, but ${CPACK_DUNLIN_SYSROOT} holds no package ${package}")
    endif()
    list(APPEND packages ${package})
  endforeach()
  list(REMOVE_DUPLICATES packages)
  list(SORT packages)
  # Debian 12's, which the sysroot is.
  list(TRANSFORM packages REPLACE "^libc6$" "libc6 (>= 2.36)")
  list(TRANSFORM packages REPLACE "^libstdc\\+\\+6$" "libstdc++6 (>= 12)")
  list(JOIN packages ", " packages)
  set(${result} "${packages}" PARENT_SCOPE)
endfunction()

if("${CPACK_COMPONENTS_ALL}" MATCHES program)
  dunlin_depends(${CPACK_DUNLIN_PROGRAM} CPACK_DEBIAN_PROGRAM_PACKAGE_DEPENDS)
endif()
dunlin_depends(${CPACK_DUNLIN_NODE} CPACK_DEBIAN_NODE_PACKAGE_DEPENDS)
