// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace dunlin {

/// How large an update may be; a larger one is refused.
struct UpdateLimits {
    float component = 1e6f;  ///< of its largest component
    float norm = 1e9f;       ///< of its Euclidean norm, whatever others send
    float factor = 10.0f;    ///< of its norm, as a multiple of what members usually send (`NormWatch`); 0: none
};

/// What members usually send. Each has one voice, the mean of its own last norms r_i, however often it speaks:
///
///     r_i   := r_i + (|Delta_i| - r_i) / 4
///     limit := min(norm, factor * median over members of r_i, 2 * limit before)     once in n updates
///
/// so that fewer than half of the members cannot move it, and all together only to twice as much in the time in which
/// each speaks once. Until more than half of the members, three at least, have spoken `norm` is the limit. What is here is
/// forgotten with the process: nothing that was taken depends on it.
class NormWatch {
public:
    NormWatch() = default;
    NormWatch(const UpdateLimits& limits, std::size_t members)
        : limits_(limits), limit_(static_cast<double>(limits.norm)), recent_(members) {}

    double limit() const { return limit_; }
    /// Error: update_too_large (first: -1, for all components together).
    Result<void> check(double norm) const {
        if (norm <= limit_) return {};
        return fail(Code::update_too_large, -1);
    }
    /// One that was within the limit.
    void took(std::uint32_t member, double norm) {
        if (!(limits_.factor > 0.0f)) return;
        if (member >= recent_.size()) recent_.resize(member + 1);
        double& recent = recent_[member];
        recent = recent > 0 ? recent + (norm - recent) / 4 : norm;
        if (++taken_ < recent_.size()) return;
        taken_ = 0;
        std::vector<double> spoken;
        std::copy_if(recent_.begin(), recent_.end(), std::back_inserter(spoken),
                     [](double value) { return value > 0; });
        if (spoken.size() < 3 || 2 * spoken.size() <= recent_.size()) return;
        const auto middle = spoken.begin() + static_cast<std::ptrdiff_t>(spoken.size() / 2);
        std::nth_element(spoken.begin(), middle, spoken.end());
        limit_ = std::min(
            {static_cast<double>(limits_.norm), static_cast<double>(limits_.factor) * *middle, 2 * limit_});
    }

    /// One that was above the limit: a voice as loud as that, or a fleet whose norms grow would be refused for ever.
    /// A minority still moves nothing.
    void refused(std::uint32_t member) { took(member, limit_); }

    template <class Archive>
    void fields(Archive& archive) {
        archive(limit_, taken_, recent_);
    }

private:
    UpdateLimits limits_;
    double limit_ = 0;
    std::uint64_t taken_ = 0;  ///< since it was last set
    std::vector<double> recent_;
};

}  // namespace dunlin
