// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/math.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <span>

namespace dunlin::signal {

/// The power spectrum of N real numbers, N a power of two from 4 to 4096, by one complex transform of half the length:
///
///     X(k) = sum over n of x(n) exp(-2 pi i k n / N),    power(k) = |X(k)|^2,    k = 0 ... N/2
///
/// In place, in N floats of the caller's; sines and cosines are N/2 floats of its own, made once. Relative error about
/// 1e-6 of the largest power. Source: Cooley and Tukey 1965; Sorensen et al. 1987 for the real form.
template <std::size_t N>
class RealFft {
public:
    static_assert(N >= 4 && N <= 4096 && std::has_single_bit(N));
    static constexpr std::size_t bins = N / 2 + 1;

    RealFft() {
        for (std::size_t k = 0; k < N / 4; ++k) {
            const portable::SineCosine turn = portable::turn(static_cast<float>(k) / static_cast<float>(N));
            cosine_[k] = turn.cosine;
            sine_[k] = turn.sine;
        }
    }

    /// `x` is used up; `power` gets N/2 + 1 numbers.
    void power(std::span<float, N> x, std::span<float, bins> power) const {
        transform(x);
        // x holds Z, the transform of x(2n) + i x(2n+1), as pairs: E = (Z(k) + Z*(h-k))/2, O = (Z(k) - Z*(h-k))/2i.
        power[0] = (x[0] + x[1]) * (x[0] + x[1]);
        power[half] = (x[0] - x[1]) * (x[0] - x[1]);
        for (std::size_t k = 1; k <= half / 2; ++k) {
            const std::size_t m = half - k;
            const float even_re = 0.5f * (x[2 * k] + x[2 * m]), even_im = 0.5f * (x[2 * k + 1] - x[2 * m + 1]);
            const float odd_re = 0.5f * (x[2 * k + 1] + x[2 * m + 1]), odd_im = 0.5f * (x[2 * m] - x[2 * k]);
            const Turn w = turn(k);
            const float re = w.cosine * odd_re + w.sine * odd_im, im = w.cosine * odd_im - w.sine * odd_re;
            power[k] = (even_re + re) * (even_re + re) + (even_im + im) * (even_im + im);
            power[m] = (even_re - re) * (even_re - re) + (even_im - im) * (even_im - im);
        }
    }

private:
    static constexpr std::size_t half = N / 2;
    struct Turn {
        float cosine, sine;
    };
    /// Of 2 pi k / N, 0 <= k < N/2.
    Turn turn(std::size_t k) const {
        if (k < N / 4) return {cosine_[k], sine_[k]};
        return {-sine_[k - N / 4], cosine_[k - N / 4]};
    }

    /// The complex transform of half numbers, which lie as pairs.
    void transform(std::span<float, N> x) const {
        for (std::size_t k = 1, mirror = 0; k < half; ++k) {
            std::size_t bit = half >> 1;
            for (; (mirror & bit) != 0; bit >>= 1) mirror ^= bit;
            mirror ^= bit;
            if (k >= mirror) continue;
            std::swap(x[2 * k], x[2 * mirror]);
            std::swap(x[2 * k + 1], x[2 * mirror + 1]);
        }
        for (std::size_t length = 2; length <= half; length *= 2) {
            for (std::size_t first = 0; first < half; first += length) {
                for (std::size_t k = 0; k < length / 2; ++k) {
                    const Turn w = turn(k * (N / length));
                    float* const a = x.data() + 2 * (first + k);
                    float* const b = a + length;
                    const float re = w.cosine * b[0] + w.sine * b[1], im = w.cosine * b[1] - w.sine * b[0];
                    b[0] = a[0] - re;
                    b[1] = a[1] - im;
                    a[0] += re;
                    a[1] += im;
                }
            }
        }
    }

    std::array<float, N / 4> cosine_{}, sine_{};
};

/// The sum of the power between two frequencies in parts of the sampling rate, 0 <= from < to <= 1/2: of bins from
/// `from` on and below `to`; the last bin belongs to 1/2. In units of x^2 N^2/2.
inline float band_energy(std::span<const float> power, float from, float to) {
    const std::size_t last = power.size() - 1;
    const float bins = 2.0f * static_cast<float>(last);
    float sum = 0;
    for (std::size_t k = 0; k <= last; ++k) {
        const float at = static_cast<float>(k) / bins;
        if (at >= from && (at < to || (k == last && to >= 0.5f))) sum += power[k];
    }
    return sum;
}

}  // namespace dunlin::signal
