// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/math.hpp"
#include "core/signal/real_fft.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

namespace dunlin::signal {

/// What is heard: a frame of N samples becomes `bands` numbers, the power in decibels under triangles that are equally
/// wide on the mel scale, mel(f) = 2595 log10(1 + f/700), under a Hann window 0.5 - 0.5 cos(2 pi n / (N - 1)).
struct MelSettings {
    float rate = 8000;                   ///< samples a second
    float lowest = 100, highest = 3800;  ///< Hz, where the first triangle begins and the last one ends
    float floor = 1e-10f;                ///< power that silence counts as
};

/// Memory is in the object: 4 (N/2 + N) bytes of tables and the frame. Sizes are constants.
template <std::size_t N, std::size_t bands>
class LogMel {
public:
    explicit LogMel(const MelSettings& settings) : floor_(settings.floor) {
        for (std::size_t n = 0; n < N; ++n)
            hann_[n] = 0.5f - 0.5f * portable::turn(static_cast<float>(n) / static_cast<float>(N - 1)).cosine;
        const float low = mel(settings.lowest), high = mel(settings.highest);
        for (std::size_t k = 0; k < edges_.size(); ++k) {
            const float at = low + (high - low) * static_cast<float>(k) / static_cast<float>(bands + 1);
            edges_[k] = hertz(at) * static_cast<float>(N) / settings.rate;
        }
    }

    /// One frame of N samples, which stay as they are; decibels, 10 log10(power).
    void frame(std::span<const float, N> samples, std::span<float, bands> out) {
        for (std::size_t n = 0; n < N; ++n) work_[n] = samples[n] * hann_[n];
        fft_.power(work_, power_);
        constexpr float decibels = 4.3429448190325183f;
        for (std::size_t b = 0; b < bands; ++b) {
            const float first = edges_[b], top = edges_[b + 1], last = edges_[b + 2];
            float sum = 0;
            for (std::size_t k = 0; k < power_.size(); ++k) {
                const float at = static_cast<float>(k);
                const float weight = std::min((at - first) / (top - first), (last - at) / (last - top));
                if (weight > 0) sum += weight * power_[k];
            }
            out[b] = decibels * portable::log(std::max(sum, floor_));
        }
    }

private:
    static float mel(float hertz) { return 1127.0104f * portable::log(1.0f + hertz / 700.0f); }
    static float hertz(float mel) { return 700.0f * (portable::exp(mel / 1127.0104f) - 1.0f); }

    RealFft<N> fft_;
    std::array<float, N> hann_{}, work_{};
    std::array<float, N / 2 + 1> power_{};
    std::array<float, bands + 2> edges_{};  ///< of the triangles, in bins
    float floor_;
};

/// What a recording looks like beside its own loudest part: decibels become 0 ... 1, `range` decibels below the largest
/// and less being 0.
inline void beside_loudest(std::span<float> decibels, float range = 60) {
    float top = decibels.empty() ? 0 : decibels[0];
    for (const float d : decibels) top = std::max(top, d);
    for (float& d : decibels) d = std::max(0.0f, (d - top) / range + 1.0f);
}

}  // namespace dunlin::signal
