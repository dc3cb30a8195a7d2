# SPDX-License-Identifier: Apache-2.0
# The kernels of one instruction set may share no inline function with other files: the linker keeps one copy of each,
# and it might be the one that only newer processors run.
string(REPLACE "|" ";" objects "${OBJECTS}")
list(FILTER objects INCLUDE REGEX "kernels/(baseline|avx2|avx512|neon)")
foreach(object IN LISTS objects)
  execute_process(COMMAND ${NM} -C ${object} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[0-9a-f]+ [Wu] [^\n]*" shared "${symbols}")
  if(shared)
    message(FATAL_ERROR "${object} shares inline code:\n${shared}")
  endif()
endforeach()
