# SPDX-License-Identifier: Apache-2.0
# Decides, before the floors are made, whether the Python module is built: its shared library takes their code in, so
# that they must be compiled for one.
option(DUNLIN_PYTHON "Build the Python module where pybind11 and Python's headers are installed" ON)

set(DUNLIN_PYTHON_MODULE OFF)
if(NOT DUNLIN_PYTHON OR CMAKE_CROSSCOMPILING)
  return()
endif()
if(DUNLIN_SANITIZE OR DUNLIN_FUZZ)
  # A Python without sanitizers cannot load them.
  return()
endif()
# The system's, whose packages Debian's NumPy and pybind11 are, and not what a shell has first in its PATH.
if(NOT DEFINED Python_EXECUTABLE AND NOT DEFINED Python_ROOT_DIR AND EXISTS /usr/bin/python3)
  set(Python_EXECUTABLE /usr/bin/python3 CACHE FILEPATH "The Python that the module is built for")
endif()
find_package(Python 3.9 QUIET COMPONENTS Interpreter Development.Module)
if(Python_FOUND)
  find_package(pybind11 2.10 CONFIG QUIET)
endif()
if(pybind11_FOUND)
  set(DUNLIN_PYTHON_MODULE ON)
else()
  message(STATUS "No Python module: it needs python3-dev, python3-numpy and pybind11-dev (docs/python.md)")
endif()
