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

option(DUNLIN_GROUPED "Compile source files in groups: a whole build takes about half of the time, one after a change more"
       OFF)
if(DUNLIN_GROUPED)
  find_package(Python3 COMPONENTS Interpreter)
  if(NOT Python3_FOUND)
    message(STATUS "No Python to group source files: each is compiled by itself")
  endif()
endif()
if(Python3_FOUND)
  execute_process(COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/cmake/unity_groups.py types core rl envs transport
                          training fleet apps
                  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_FILE ${PROJECT_BINARY_DIR}/types.txt
                  COMMAND_ERROR_IS_FATAL ANY)
endif()

# In a group, a local of one file may be called as a private function of another, no private type is taken for one of
# a header, and GCC sees uninitialised values and short buffers where there are none.
set(shadow -Wshadow)
if(DUNLIN_GROUPED AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  set(shadow -Wshadow=local -Wno-subobject-linkage -Wno-error=maybe-uninitialized -Wno-error=array-bounds -Wno-error=restrict
      -Wno-error=stringop-overflow -Wno-error=stringop-overread)
endif()

add_library(dunlin_options INTERFACE)
# Contraction would let each compiler choose where to fuse; kernels say `fma` where they mean it (docs/numbers.md).
target_compile_options(dunlin_options INTERFACE -Wall -Wextra -Wpedantic ${shadow} -Wconversion -Wno-sign-conversion
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
    if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
      # As GCC says it. Types are not checked where objects cross to files without type information.
      target_compile_options(dunlin_options INTERFACE -fno-sanitize=vptr)
      target_compile_definitions(dunlin_options INTERFACE __SANITIZE_ADDRESS__=1)
    endif()
  endif()
  if(DUNLIN_FUZZ)
    target_compile_options(dunlin_options INTERFACE -fsanitize=fuzzer-no-link)
    target_link_options(dunlin_options INTERFACE -fsanitize=fuzzer-no-link)
  endif()
endfunction()
cmake_language(DEFER CALL dunlin_apply_options)

# Sources of this target that have no options of their own are compiled in groups, where that is asked for. Groups are
# made anew when CMake runs: a private name that is new and stands in two files of a group wants `cmake --preset X`.
function(dunlin_group target)
  if(NOT DUNLIN_GROUPED OR NOT Python3_FOUND)
    return()
  endif()
  get_target_property(sources ${target} SOURCES)
  list(FILTER sources INCLUDE REGEX "\\.cpp$")
  set(files "")
  foreach(source IN LISTS sources)
    cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} NORMALIZE)
    get_source_file_property(generated ${source} GENERATED)
    if(EXISTS ${source} AND NOT generated)
      list(APPEND files ${source})
    endif()
  endforeach()
  execute_process(COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/cmake/unity_groups.py groups 10
                          ${PROJECT_BINARY_DIR}/types.txt ${files}
                  OUTPUT_VARIABLE lines OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  if(lines STREQUAL "")
    return()
  endif()
  string(REPLACE "\n" ";" lines "${lines}")
  foreach(line IN LISTS lines)
    string(REGEX MATCH "^([0-9]+) (.*)$" matched "${line}")
    set_property(SOURCE ${CMAKE_MATCH_2} PROPERTY UNITY_GROUP ${CMAKE_MATCH_1})
  endforeach()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
endfunction()

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
    dunlin_group(dunlin_${name})
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
