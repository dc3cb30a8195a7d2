// SPDX-License-Identifier: Apache-2.0
#include "core/kernels/sets.hpp"

#if defined(__arm__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace dunlin {
namespace {

/// Every set of this build, best first. A processor that runs one runs all that follow it.
constexpr const Kernels<float>* sets[] = {
#if defined(__x86_64__)
    &avx512_kernels, &avx2_kernels, &baseline_kernels,
#elif defined(__aarch64__) || defined(__arm__)
    &neon_kernels,
#endif
    &reference_kernels, nullptr};

int best_set() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return avx512 ? 0 : avx2 ? 1 : 2;
#elif defined(__arm__) && defined(__linux__)
    constexpr unsigned long needed = HWCAP_NEON | HWCAP_VFPv4;
    return (getauxval(AT_HWCAP) & needed) == needed ? 0 : 1;
#else
    return 0;
#endif
}

constexpr std::string_view names[] = {"baseline", "avx2", "avx512", "neon"};

}  // namespace

const Kernels<float>* const* available_kernels() {
    return sets + best_set();
}

Result<const Kernels<float>*> find_kernels(std::string_view name) {
    const Kernels<float>* const* available = available_kernels();
    if (name == "fast") return available[0];
    for (; *available != nullptr; ++available) {
        if (name == (*available)->name) return *available;
    }
    for (std::string_view known : names) {
        if (name == known) return fail(Code::unsupported_kernels);
    }
    return fail(Code::unknown_kernels);
}

}  // namespace dunlin
