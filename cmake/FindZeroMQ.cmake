# SPDX-License-Identifier: Apache-2.0
# libzmq as ZeroMQ::libzmq: Debian's package brings a pkg-config file but nothing for CMake. Installed beside Dunlin's
# own configuration, which needs it too.
find_path(ZeroMQ_INCLUDE_DIR zmq.h)
find_library(ZeroMQ_LIBRARY zmq)
mark_as_advanced(ZeroMQ_INCLUDE_DIR ZeroMQ_LIBRARY)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(ZeroMQ REQUIRED_VARS ZeroMQ_LIBRARY ZeroMQ_INCLUDE_DIR)
if(ZeroMQ_FOUND AND NOT TARGET ZeroMQ::libzmq)
  add_library(ZeroMQ::libzmq UNKNOWN IMPORTED)
  set_target_properties(ZeroMQ::libzmq PROPERTIES
    IMPORTED_LOCATION ${ZeroMQ_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${ZeroMQ_INCLUDE_DIR})
endif()
