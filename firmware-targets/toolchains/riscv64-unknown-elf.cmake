# SPDX-License-Identifier: Apache-2.0
# GCC for bare RISC-V with picolibc, as in Debian's gcc-riscv64-unknown-elf and picolibc-riscv64-unknown-elf. It has no C++
# headers: those of the ARM toolchain (libstdc++-arm-none-eabi-newlib) fit, because only what is free of a library is used.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR riscv)
set(CMAKE_C_COMPILER riscv64-unknown-elf-gcc)
# Not g++, which would link a libstdc++ that is not there.
set(CMAKE_CXX_COMPILER riscv64-unknown-elf-gcc)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
file(GLOB cxx_headers /usr/include/newlib/c++/*)
list(GET cxx_headers 0 cxx_headers)
set(CMAKE_C_FLAGS_INIT "--specs=picolibc.specs")
set(CMAKE_CXX_FLAGS_INIT
    "--specs=picolibc.specs -nostdinc++ -isystem ${cxx_headers} -isystem ${cxx_headers}/arm-none-eabi/thumb/v6-m/nofp")
