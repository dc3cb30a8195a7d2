// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/interrupt.hpp"
#include "python/native.hpp"

#include <mutex>
#include <optional>

namespace dunlin::python {
namespace {

std::mutex keeping;
std::optional<py::error_already_set> kept;  ///< only ever touched with Python's lock

}  // namespace

void keep_exception(py::error_already_set& raised) {
    const std::lock_guard lock(keeping);
    if (!kept) kept.emplace(std::move(raised));
    app::ask_to_stop();
}

void raise_kept_exception() {
    std::optional<py::error_already_set> first;
    {
        const std::lock_guard lock(keeping);
        std::swap(first, kept);
    }
    if (first) throw py::error_already_set(*std::move(first));
}

}  // namespace dunlin::python

PYBIND11_MODULE(_native, module) {
    using namespace dunlin::python;
    module.doc() = "The C++ of Dunlin; use the package `dunlin`, which makes it comfortable.";
    module.attr("version") = DUNLIN_VERSION;
    static py::exception<Raised> error(module, "Error", PyExc_RuntimeError);
    error.attr("__module__") = "dunlin";
    error.attr("__doc__") =
        "What went wrong and what to do about it, in the sentence that the program would print.";
    py::register_exception_translator([](std::exception_ptr raised) {
        try {
            if (raised) std::rethrow_exception(raised);
        } catch (const Raised& failure) {
            error(failure.what());
        }
    });
    add_environments(module);
    add_models(module);
    add_problems(module);
    add_runs(module);
}
