// SPDX-License-Identifier: Apache-2.0
#include "core/kernels.hpp"

namespace dunlin {

const Kernels<float>* const* available_kernels() {
    static const Kernels<float>* const list[] = {&generic_kernels<float>(), nullptr};
    return list;
}

Result<const Kernels<float>*> find_kernels(std::string_view name) {
    if (name == "reference") return &generic_kernels<float>();
    const Kernels<float>* const* available = available_kernels();
    if (name == "fast") return available[0];
    for (; *available != nullptr; ++available) {
        if (name == (*available)->name) return *available;
    }
    return fail(Code::unknown_kernels);
}

}  // namespace dunlin
