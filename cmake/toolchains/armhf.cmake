# SPDX-License-Identifier: Apache-2.0
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(DUNLIN_TARGET arm-linux-gnueabihf)
set(DUNLIN_ARCHITECTURE armhf)
set(DUNLIN_EMULATOR qemu-arm)
# GCC tells of each small struct by value that its ABI changed in version 7.1.
set(CMAKE_CXX_FLAGS_INIT -Wno-psabi)
include(${CMAKE_CURRENT_LIST_DIR}/linux.cmake)
