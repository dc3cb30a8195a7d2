// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/failure.hpp"

#include <exception>
#include <string>
#include <utility>

#include <pybind11/pybind11.h>

/// The C++ side of the package `dunlin`: what python/dunlin/*.py make comfortable. Errors become `dunlin.Error` with
/// the sentence that the program would print. Whatever takes long runs without Python's lock.
namespace dunlin::python {

namespace py = pybind11;

/// Becomes dunlin.Error in Python.
struct Raised : std::exception {
    explicit Raised(Failure what) : failure(std::move(what)) {}
    const char* what() const noexcept override { return failure.text.c_str(); }
    Failure failure;
};

/// What an Outcome holds, or its error as an exception.
template <class T>
T value_of(Outcome<T> outcome) {
    if (!outcome) throw Raised(std::move(outcome).error());
    if constexpr (!std::is_void_v<T>) return *std::move(outcome);
}
template <class T>
T value_of(Result<T> result, std::string_view where) {
    if (!result) throw Raised(describe(result.error(), where));
    if constexpr (!std::is_void_v<T>) return *std::move(result);
}

/// An exception of a call-back, kept until C++ has come to a halt: it asks for a stop. From any thread, with
/// Python's lock.
void keep_exception(py::error_already_set& raised);
/// Raises the first that was kept since the last call.
void raise_kept_exception();

// Each adds its part to the module.
void add_runs(py::module_& module);
void add_models(py::module_& module);
void add_environments(py::module_& module);
void add_problems(py::module_& module);

}  // namespace dunlin::python
