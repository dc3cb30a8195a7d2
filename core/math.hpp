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

/// a b + c, rounded once, by arithmetic in double: the product is exact there, and a sum that was rounded to odd
/// can be rounded again without harm. For processors without the instruction, whose C library may round twice.
/// Source: Boldo and Melquiond 2008, Emulation of FMA and correctly rounded sums: proved algorithms using rounding
/// to odd.
inline float software_fma(float a, float b, float c) {
    const double product = static_cast<double>(a) * static_cast<double>(b), addend = static_cast<double>(c);
    const double sum = product + addend, virtual_addend = sum - product;
    const double error = (product - (sum - virtual_addend)) + (addend - virtual_addend);
    std::uint64_t bits = std::bit_cast<std::uint64_t>(sum);
    const bool finite = (bits >> 52 & 0x7ff) != 0x7ff;
    if (finite && error != 0.0 && (bits & 1) == 0) bits += (error > 0.0) == (sum > 0.0) ? 1 : -1;
    return static_cast<float>(std::bit_cast<double>(bits));
}

/// The same by integers, for processors without any floating point: normal numbers and an addend of zero; what else there is
/// goes the other way. The product has 48 digits; the addend is brought to its exponent, and what is shifted out leaves a
/// digit behind, so that the sum is rounded once.
[[gnu::noinline]] inline float integer_fma(float a, float b, float c) {
    const std::uint32_t a_bits = std::bit_cast<std::uint32_t>(a), b_bits = std::bit_cast<std::uint32_t>(b),
                        c_bits = std::bit_cast<std::uint32_t>(c);
    const std::int32_t a_exponent = a_bits >> 23 & 255, b_exponent = b_bits >> 23 & 255,
                       c_exponent = c_bits >> 23 & 255;
    const auto normal = [](std::int32_t e) { return static_cast<std::uint32_t>(e - 1) < 254u; };
    const bool adds = c_bits << 1 != 0;
    if (!normal(a_exponent) || !normal(b_exponent) || (adds && !normal(c_exponent))) return software_fma(a, b, c);
    const auto digits = [](std::uint32_t bits) { return std::uint64_t{(bits & 0x7fffffu) | 0x800000u}; };
    std::uint32_t sign = (a_bits ^ b_bits) & 0x80000000u;
    std::uint64_t sum = digits(a_bits) * digits(b_bits) << 14;  // 1.0 is 2^60
    std::int32_t exponent = a_exponent + b_exponent - 127;
    if (adds) {
        std::uint64_t addend = digits(c_bits) << 37;
        const auto shifted = [](std::uint64_t x, std::int32_t by) {
            if (by > 62) return std::uint64_t{1};
            const std::uint64_t rest = x >> by;
            return rest | (rest << by != x ? 1u : 0u);
        };
        if (exponent >= c_exponent) {
            addend = shifted(addend, exponent - c_exponent);
        } else {
            sum = shifted(sum, c_exponent - exponent);
            exponent = c_exponent;
        }
        if (((sign ^ c_bits) & 0x80000000u) == 0) {
            sum += addend;
        } else if (sum >= addend) {
            sum -= addend;
            if (sum == 0) return 0.0f;
        } else {
            sum = addend - sum;
            sign ^= 0x80000000u;
        }
    }
    const int zeros = __builtin_clzll(sum);
    sum <<= zeros;
    exponent += 3 - zeros;
    if (exponent < 1) return software_fma(a, b, c);
    const std::uint32_t top = static_cast<std::uint32_t>(sum >> 40),
                        rest = static_cast<std::uint32_t>(sum >> 8) | ((sum & 255u) != 0 ? 1u : 0u);
    std::uint32_t bits = (static_cast<std::uint32_t>(exponent - 1) << 23) + top;
    if (rest > 0x80000000u || (rest == 0x80000000u && (top & 1u) != 0)) ++bits;
    if (bits > 0x7f800000u) bits = 0x7f800000u;
    return std::bit_cast<float>(bits | sign);
}

/// The square root of a number that is not negative, correctly rounded, by integers: a digit at a time.
inline float software_sqrt(float x) {
    std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
    if (bits << 1 == 0 || bits >= 0x7f800000u) return x;  // zeros, infinity, NaN
    std::int32_t exponent = static_cast<std::int32_t>(bits >> 23) - 127;
    bits &= 0x007fffffu;
    if (exponent > -127) bits |= 0x00800000u;
    if (exponent == -127) {
        for (exponent = -126; bits < 0x00800000u; bits <<= 1) --exponent;
    }
    if ((exponent & 1) != 0) bits <<= 1;
    exponent >>= 1;
    std::uint32_t root = 0, rest = 0;
    for (int k = 0; k < 25; ++k) {  // 24 digits and one to round by
        rest = rest << 2 | (bits >> 23 & 3u);
        bits <<= 2;
        const std::uint32_t trial = root << 2 | 1u;
        root <<= 1;
        if (rest >= trial) {
            rest -= trial;
            root |= 1u;
        }
    }
    root = (root + 1) >> 1;  // never half way: a root that needs 25 digits is not exact
    return std::bit_cast<float>(root + (static_cast<std::uint32_t>(exponent + 126) << 23));
}

#if defined(__FP_FAST_FMAF) || (defined(__linux__) && !defined(__arm__))
inline float fma(float a, float b, float c) {
    return __builtin_fmaf(a, b, c);
}
#elif defined(__linux__) || (defined(__ARM_FP) && (__ARM_FP & 8)) || defined(__riscv_flen)
inline float fma(float a, float b, float c) {
    return software_fma(a, b, c);
}
#else
inline float fma(float a, float b, float c) {
    return integer_fma(a, b, c);
}
#endif
inline double fma(double a, double b, double c) {
    return __builtin_fma(a, b, c);
}

#if (defined(__arm__) && !(__ARM_FP & 4)) || (defined(__riscv) && !defined(__riscv_flen))
inline float sqrt(float x) {
    return software_sqrt(x);
}
#else
inline float sqrt(float x) {
    return __builtin_sqrtf(x);
}
#endif
inline double sqrt(double x) {
    return __builtin_sqrt(x);
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

// What the above asks of a compiler: NaN is a number like others, and sums keep their order.
#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || \
    (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ > 0)
#error "Dunlin: compile without -ffast-math, which loses NaN and the order of sums"
#endif
#if __cplusplus < 202002L
#error "Dunlin: compile with -std=c++20 or later (GCC 11 or newer)"
#endif
