# SPDX-License-Identifier: Apache-2.0
# The learner as one target for any firmware: include(path/to/firmware-targets/learner.cmake), then link
# Dunlin::learner. Other build systems take the files in learner-sources.txt, the include folders below and the
# compile options; docs/boards.md says the rest.
get_filename_component(DUNLIN_ROOT ${CMAKE_CURRENT_LIST_DIR}/.. ABSOLUTE)

# tl::expected is one header; of the folder where it was found only it is used, never the host's other headers.
find_path(DUNLIN_EXPECTED tl/expected.hpp PATHS /usr/include NO_CMAKE_FIND_ROOT_PATH REQUIRED)
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/dunlin-include)
file(CREATE_LINK ${DUNLIN_EXPECTED}/tl ${CMAKE_BINARY_DIR}/dunlin-include/tl SYMBOLIC)

file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/learner-sources.txt dunlin_learner_sources)
list(TRANSFORM dunlin_learner_sources PREPEND ${DUNLIN_ROOT}/)
add_library(dunlin_learner STATIC ${dunlin_learner_sources})
target_include_directories(dunlin_learner PUBLIC ${DUNLIN_ROOT} ${CMAKE_CURRENT_LIST_DIR}/device
                                                 ${CMAKE_BINARY_DIR}/dunlin-include)
target_compile_features(dunlin_learner PUBLIC cxx_std_20)
option(DUNLIN_SMALL "Kernels for one sample that take 1.2 kB less flash and a fifth more time on a Cortex-M with an FPU" OFF)
target_compile_definitions(dunlin_learner PUBLIC $<$<BOOL:${DUNLIN_SMALL}>:DUNLIN_SMALL>)
# Contraction would let the compiler choose where to fuse, and other bits come out than on a host.
target_compile_options(dunlin_learner PUBLIC
  -ffp-contract=off -fno-math-errno -ffunction-sections -fdata-sections -Wno-psabi
  $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti -fno-threadsafe-statics -fno-unwind-tables
                            -fno-asynchronous-unwind-tables>)
# The kernels are where the time goes, whatever the rest is optimised for.
set(dunlin_kernel_options -O2)
# There scheduling before registers are given out leaves sums on the stack.
if(CMAKE_SYSTEM_PROCESSOR MATCHES riscv)
  list(APPEND dunlin_kernel_options -fno-schedule-insns)
  set_source_files_properties(${DUNLIN_ROOT}/core/mlp.cpp PROPERTIES COMPILE_OPTIONS -O2)
endif()
set_source_files_properties(${DUNLIN_ROOT}/core/kernels/generic.cpp PROPERTIES
                            COMPILE_OPTIONS "${dunlin_kernel_options}")
add_library(Dunlin::learner ALIAS dunlin_learner)
