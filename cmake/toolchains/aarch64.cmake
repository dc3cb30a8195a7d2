# SPDX-License-Identifier: Apache-2.0
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(DUNLIN_TARGET aarch64-linux-gnu)
set(DUNLIN_ARCHITECTURE arm64)
set(DUNLIN_EMULATOR qemu-aarch64)
include(${CMAKE_CURRENT_LIST_DIR}/linux.cmake)
