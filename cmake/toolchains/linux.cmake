# SPDX-License-Identifier: Apache-2.0
# Debian's cross compilers for ARM Linux, with the libraries of a sysroot that scripts/cross.sh makes. Included by
# aarch64.cmake and armhf.cmake, which set DUNLIN_TARGET (the compiler's name for it) and DUNLIN_EMULATOR.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_C_COMPILER ${DUNLIN_TARGET}-gcc)
set(CMAKE_CXX_COMPILER ${DUNLIN_TARGET}-g++)
set(CMAKE_LIBRARY_ARCHITECTURE ${DUNLIN_TARGET})
get_filename_component(sysroot ${CMAKE_CURRENT_LIST_DIR}/../../build-sysroot/${DUNLIN_ARCHITECTURE} ABSOLUTE)
set(CMAKE_SYSROOT ${sysroot})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_CROSSCOMPILING_EMULATOR ${DUNLIN_EMULATOR} -L ${sysroot})
set(ENV{PKG_CONFIG_LIBDIR} ${sysroot}/usr/lib/${DUNLIN_TARGET}/pkgconfig:${sysroot}/usr/share/pkgconfig)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${sysroot})
