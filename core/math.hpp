// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace dunlin::portable {

/// Elementary functions with a fixed order of operations and explicit fused multiply-adds, so that x86, ARM and
/// microcontrollers return the same bits. Accurate to about 2 units in the last place (tests/core/math.cpp).
/// Source of the polynomials: S. Moshier, Cephes, single precision (expf, logf, tanhf, sinf, cosf).
/// In double, which only tests use, they are the standard library's.

inline float fma(float a, float b, float c) {
    return __builtin_fmaf(a, b, c);
}
inline double fma(double a, double b, double c) {
    return __builtin_fma(a, b, c);
}

/// e^x; below -87.3 the result is the smallest normal number's neighbourhood, above 88.3 it stays finite.
inline float exp(float x) {
    x = x < -87.3f ? -87.3f : x;
    x = x > 88.3f ? 88.3f : x;
    const float scaled = x * 1.44269504088896341f;
    const std::int32_t n = static_cast<std::int32_t>(scaled + (scaled < 0.0f ? -0.5f : 0.5f));
    const float k = static_cast<float>(n);
    const float r = fma(-k, -2.12194440e-4f, fma(-k, 0.693359375f, x));
    float p = 1.9875691500e-4f;
    p = fma(p, r, 1.3981999507e-3f);
    p = fma(p, r, 8.3334519073e-3f);
    p = fma(p, r, 4.1665795894e-2f);
    p = fma(p, r, 1.6666665459e-1f);
    p = fma(p, r, 5.0000001201e-1f);
    const float y = fma(p, r * r, r) + 1.0f;
    return y * std::bit_cast<float>((n + 127) << 23);
}
inline double exp(double x) {
    return std::exp(x);
}

/// Natural logarithm of a positive normal number.
inline float log(float x) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
    std::int32_t e = static_cast<std::int32_t>(bits >> 23) - 126;
    float m = std::bit_cast<float>((bits & 0x007fffffu) | 0x3f000000u);  // in [0.5, 1)
    const bool low = m < 0.707106781186547524f;
    e -= low ? 1 : 0;
    m = (low ? m + m : m) - 1.0f;
    const float z = m * m;
    float p = 7.0376836292e-2f;
    p = fma(p, m, -1.1514610310e-1f);
    p = fma(p, m, 1.1676998740e-1f);
    p = fma(p, m, -1.2420140846e-1f);
    p = fma(p, m, 1.4249322787e-1f);
    p = fma(p, m, -1.6668057665e-1f);
    p = fma(p, m, 2.0000714765e-1f);
    p = fma(p, m, -2.4999993993e-1f);
    p = fma(p, m, 3.3333331174e-1f);
    const float k = static_cast<float>(e);
    float y = m * z * p;
    y = fma(k, -2.12194440e-4f, y);
    y = fma(-0.5f, z, y);
    return fma(k, 0.693359375f, m + y);
}
inline double log(double x) {
    return std::log(x);
}

inline float tanh(float x) {
    const float a = x < 0.0f ? -x : x;
    const float z = x * x;
    float p = -5.70498872745e-3f;
    p = fma(p, z, 2.06390887954e-2f);
    p = fma(p, z, -5.37397155531e-2f);
    p = fma(p, z, 1.33314422036e-1f);
    p = fma(p, z, -3.33332819422e-1f);
    const float small = fma(p * z, x, x);
    const float large = 1.0f - 2.0f / (exp(a > 9.1f ? 18.2f : a + a) + 1.0f);
    return a < 0.625f ? small : (x < 0.0f ? -large : large);
}
inline double tanh(double x) {
    return std::tanh(x);
}

template <class S>
S sigmoid(S x) {
    return S(1) / (S(1) + exp(-x));
}

struct SineCosine {
    float sine, cosine;
};

/// Sine and cosine of 2 pi u for u in [0, 1].
inline SineCosine turn(float u) {
    const std::int32_t quarter = static_cast<std::int32_t>(u * 4.0f + 0.5f);
    const float x = (u - static_cast<float>(quarter) * 0.25f) * 6.28318530717958648f;
    const float z = x * x;
    float s = -1.9515295891e-4f;
    s = fma(s, z, 8.3321608736e-3f);
    s = fma(s, z, -1.6666654611e-1f);
    const float sine = fma(s * z, x, x);
    float c = 2.443315711809948e-5f;
    c = fma(c, z, -1.388731625493765e-3f);
    c = fma(c, z, 4.166664568298827e-2f);
    const float cosine = fma(c, z * z, fma(-0.5f, z, 1.0f));
    switch (quarter & 3) {
        case 0:
            return {sine, cosine};
        case 1:
            return {cosine, -sine};
        case 2:
            return {-sine, -cosine};
        default:
            return {-cosine, sine};
    }
}

}  // namespace dunlin::portable
