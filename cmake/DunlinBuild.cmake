# SPDX-License-Identifier: Apache-2.0
# What every target of Dunlin shares: the language, the warnings, and one include folder per floor.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

find_program(DUNLIN_CCACHE ccache)
if(DUNLIN_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${DUNLIN_CCACHE})
endif()

add_library(dunlin_options INTERFACE)
# Contraction would let each compiler choose where to fuse; kernels say `fma` where they mean it (docs/numbers.md).
target_compile_options(dunlin_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
                                                -ffp-contract=off -fno-math-errno)

if(CMAKE_SIZEOF_VOID_P EQUAL 4)
  # Or a directory's end comes early where numbers of its files have 64 bits, and files end at 2 GiB.
  target_compile_definitions(dunlin_options INTERFACE _FILE_OFFSET_BITS=64)
endif()

# Called late, because the options are declared after this file is read.
function(dunlin_apply_options)
  if(DUNLIN_WERROR)
    target_compile_options(dunlin_options INTERFACE -Werror)
  endif()
  if(DUNLIN_SANITIZE)
    target_compile_options(dunlin_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all
                                                    -fno-omit-frame-pointer)
    target_link_options(dunlin_options INTERFACE -fsanitize=address,undefined)
  endif()
  if(DUNLIN_FUZZ)
    target_compile_options(dunlin_options INTERFACE -fsanitize=fuzzer-no-link)
    target_link_options(dunlin_options INTERFACE -fsanitize=fuzzer-no-link)
  endif()
endfunction()
cmake_language(DEFER CALL dunlin_apply_options)

# dunlin_floor(core SOURCES a.cpp ... LINK Dunlin::x ...)
# One library a folder. Its include folder holds a link to this folder alone, so that including a floor which is
# not linked does not compile. FOLDER names the folder where it is not called as the library is: a room of a floor
# (training/host), or the freestanding part of a folder, is a library of its own.
function(dunlin_floor name)
  cmake_parse_arguments(ARG "" "FOLDER" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  if(NOT ARG_FOLDER)
    set(ARG_FOLDER ${name})
  endif()
  set(view ${PROJECT_BINARY_DIR}/floors/${ARG_FOLDER})
  get_filename_component(above ${view}/${ARG_FOLDER} DIRECTORY)
  file(MAKE_DIRECTORY ${above})
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/${ARG_FOLDER} ${view}/${ARG_FOLDER} SYMBOLIC)
  if(ARG_SOURCES)
    add_library(dunlin_${name} STATIC ${ARG_SOURCES})
    set(scope PUBLIC)
    target_link_libraries(dunlin_${name} PRIVATE $<BUILD_INTERFACE:dunlin_options>)
    if(DUNLIN_PYTHON_MODULE)
      # Hidden, so that calls within Dunlin stay as direct as in a program.
      set_target_properties(dunlin_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden
                                                      VISIBILITY_INLINES_HIDDEN ON)
    endif()
  else()
    add_library(dunlin_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(dunlin_${name} ${scope} $<BUILD_INTERFACE:${view}>
                                                     $<INSTALL_INTERFACE:include/dunlin>)
  target_compile_features(dunlin_${name} ${scope} cxx_std_20)
  target_link_libraries(dunlin_${name} ${scope} ${ARG_LINK})
  if(ARG_PRIVATE_LINK)
    target_link_libraries(dunlin_${name} PRIVATE ${ARG_PRIVATE_LINK})
  endif()
  set_target_properties(dunlin_${name} PROPERTIES EXPORT_NAME ${name})
  add_library(Dunlin::${name} ALIAS dunlin_${name})
  set_property(GLOBAL APPEND PROPERTY DUNLIN_FLOORS ${name})
  set_property(GLOBAL APPEND PROPERTY DUNLIN_FOLDERS ${ARG_FOLDER})
endfunction()
