// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/math.hpp"

#include <array>
#include <cstddef>
#include <span>

namespace dunlin::signal {

/// The last N numbers of a stream, as a sensor gives them. Its own memory; a plain value. Not for an interrupt and a
/// task at once.
template <std::size_t N>
class Window {
public:
    static constexpr std::size_t size = N;

    void push(float x) {
        ring_[at_] = x;
        at_ = at_ + 1 == N ? 0 : at_ + 1;
        if (count_ < N) ++count_;
        ++since_;
    }
    bool full() const { return count_ == N; }
    /// True once `step` numbers came since the last time, and N in all: a window that moves on by `step`.
    bool moved(std::size_t step) {
        if (!full() || since_ < step) return false;
        since_ = 0;
        return true;
    }
    /// The oldest first: out[k] = x[k], N of them.
    void copy(std::span<float> out) const {
        for (std::size_t k = 0; k < N; ++k) out[k] = ring_[at_ + k < N ? at_ + k : at_ + k - N];
    }
    /// In no order that matters.
    std::span<const float> numbers() const { return {ring_.data(), count_}; }

private:
    std::array<float, N> ring_{};
    std::size_t at_ = 0, count_ = 0, since_ = 0;
};

struct Moments {
    float mean = 0, variance = 0;
    float deviation() const { return portable::sqrt(variance); }
};

/// Mean and variance (over n) in two passes, so that a large mean does not eat the variance. Of nothing: zeros.
inline Moments moments(std::span<const float> x) {
    if (x.empty()) return {};
    const float count = static_cast<float>(x.size());
    float sum = 0;
    for (const float v : x) sum += v;
    const float mean = sum / count;
    float squares = 0, rest = 0;
    for (const float v : x) {
        squares += (v - mean) * (v - mean);
        rest += v - mean;
    }
    return {mean, (squares - rest * rest / count) / count};
}

/// Mean and variance of an endless stream, of which nothing is kept (Welford 1962): with `forget` > 0 older numbers
/// count less by 1 - forget a number.
struct RunningMoments {
    float forget = 0;
    float mean = 0, variance = 0;
    float count = 0;

    void push(float x) {
        count += 1;
        const float share = forget > 0 && forget > 1 / count ? forget : 1 / count;
        const float off = x - mean;
        mean += share * off;
        variance = (1 - share) * (variance + share * off * off);
    }
};

/// A model sees (x - centre) * scale: what `dunlin export` writes beside it.
inline void normalise(std::span<const float> centre, std::span<const float> scale, std::span<float> x) {
    for (std::size_t k = 0; k < x.size(); ++k) x[k] = (x[k] - centre[k]) * scale[k];
}

}  // namespace dunlin::signal
