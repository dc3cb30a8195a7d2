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

/// Sums of real nodes' updates of which a coordinator sees no single one (fleet/masks/).
struct MaskSettings {
    bool enabled = false;
    int group = 17;       ///< most members that mask for each other
    int value_bits = 20;  ///< of each number
    float range = 4.0f;   ///< to which numbers are clipped
};

/// Adds the section [privacy].
void add_privacy_settings(Settings& list, PrivacySettings& privacy);
/// Adds the section [secure_aggregation].
void add_mask_settings(Settings& list, MaskSettings& masks);

/// Errors: an aggregation whose server needs single updates, by name.
Outcome<void> check_masks(const MaskSettings& masks, AggregationName aggregation);

/// Errors: an aggregation whose sum is not that of a round, by name; noise without clipping.
Outcome<void> check_privacy(const PrivacySettings& privacy, AggregationName aggregation);

}  // namespace dunlin
