// SPDX-License-Identifier: Apache-2.0
#include "peak.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace dunlin::bench {
namespace {

constexpr int chains = 12;  ///< latency 4 times two pipes is 8; the rest is slack

// The empty assembly may change a register, for all that the compiler knows: so every chain must be computed.

#if defined(__x86_64__)
[[gnu::target("avx512f")]] void avx512(int rounds) {
    __m512 sum[chains] = {};
    for (__m512& x : sum) asm volatile("" : "+v"(x));
    const __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
    for (int r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
        for (int k = 0; k < chains; ++k) sum[k] = _mm512_fmadd_ps(sum[k], a, b);
    }
    for (__m512& x : sum) asm volatile("" : "+v"(x));
}

[[gnu::target("avx2,fma")]] void avx2(int rounds) {
    __m256 sum[chains] = {};
    for (__m256& x : sum) asm volatile("" : "+x"(x));
    const __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
    for (int r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
        for (int k = 0; k < chains; ++k) sum[k] = _mm256_fmadd_ps(sum[k], a, b);
    }
    for (__m256& x : sum) asm volatile("" : "+x"(x));
}

void baseline(int rounds) {
    __m128 sum[chains] = {};
    for (__m128& x : sum) asm volatile("" : "+x"(x));
    const __m128 a = _mm_set1_ps(0.999f), b = _mm_set1_ps(0.001f);
    for (int r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
        for (int k = 0; k < chains; ++k) sum[k] = _mm_add_ps(_mm_mul_ps(sum[k], a), b);
    }
    for (__m128& x : sum) asm volatile("" : "+x"(x));
}
#elif defined(__aarch64__)
void neon(int rounds) {
    float32x4_t sum[chains] = {};
    for (float32x4_t& x : sum) asm volatile("" : "+w"(x));
    const float32x4_t a = vdupq_n_f32(0.999f), b = vdupq_n_f32(0.001f);
    for (int r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
        for (int k = 0; k < chains; ++k) sum[k] = vfmaq_f32(b, sum[k], a);
    }
    for (float32x4_t& x : sum) asm volatile("" : "+w"(x));
}
#endif

}  // namespace

double run_chains(std::string_view kernels, int rounds) {
    const double vectors = static_cast<double>(rounds) * chains;
#if defined(__x86_64__)
    if (kernels == "avx512") return avx512(rounds), 16 * vectors;
    if (kernels == "avx2") return avx2(rounds), 8 * vectors;
    if (kernels == "baseline") return baseline(rounds), 4 * vectors;
#elif defined(__aarch64__)
    if (kernels == "neon") return neon(rounds), 4 * vectors;
#endif
    return 0;
}

}  // namespace dunlin::bench
