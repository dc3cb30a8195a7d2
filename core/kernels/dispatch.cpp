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

#include "core/kernels/flat.inc"

/// With the flags of every other file, so any processor that this build is for runs it.
constexpr FlatKernels plain_flat_kernels = {any_beyond, add_scaled, descend, add_masses};

constexpr const FlatKernels* flat_sets[] = {
#if defined(__x86_64__)
    &avx512_flat_kernels, &avx2_flat_kernels,
#endif
    &plain_flat_kernels, nullptr};

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

const FlatKernels* const* available_flat_kernels() {
#if defined(__x86_64__)
    return flat_sets + best_set();
#else
    return flat_sets;
#endif
}

const FlatKernels& flat_kernels() {
    static const FlatKernels& best = *available_flat_kernels()[0];
    return best;
}

const LayerKernels<float>& layer_kernels(const Kernels<float>& kernels) {
#if defined(__x86_64__)
    if (&kernels == &avx512_kernels) return avx512_layer_kernels;
    if (&kernels == &avx2_kernels) return avx2_layer_kernels;
    if (&kernels == &baseline_kernels) return baseline_layer_kernels;
#elif defined(__aarch64__) || defined(__arm__)
    if (&kernels == &neon_kernels) return neon_layer_kernels;
#endif
    return reference_layer_kernels;
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
