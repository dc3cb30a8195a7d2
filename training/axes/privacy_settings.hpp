// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/axes/aggregations.hpp"
#include "training/host/failure.hpp"
#include "training/settings/settings.hpp"

#include <cstdint>

namespace dunlin {

/// 64 bits of the operating system's generator.
std::uint64_t secret_random();

/// What a server's rounds may tell about one member (core/robust/private_sum.hpp).
struct PrivacySettings {
    float clip = 0.0f;    ///< C, to which each update's norm is clipped; 0: nothing is private
    float noise = 0.0f;   ///< sigma, in multiples of C; 0: clipped alone, which promises nothing
    float delta = 1e-5f;  ///< of the (epsilon, delta) that is reported
    std::uint64_t (*random)() = secret_random;  ///< another one in tests alone

    bool enabled() const { return clip > 0.0f; }
};

/// Adds the section [privacy].
void add_privacy_settings(Settings& list, PrivacySettings& privacy);

/// Errors: an aggregation whose sum is not that of a round, by name; noise without clipping.
Outcome<void> check_privacy(const PrivacySettings& privacy, AggregationName aggregation);

}  // namespace dunlin
