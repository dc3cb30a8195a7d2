// SPDX-License-Identifier: Apache-2.0
#include "training/axes/privacy_settings.hpp"

#include <cstdlib>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

namespace dunlin {

std::uint64_t secret_random() {
    constexpr std::size_t at_once = 32;  // 256 bytes: as many as the system gives without interruption
    thread_local std::uint64_t numbers[at_once];
    thread_local std::size_t left = 0;
    if (left == 0) {
        if (getentropy(numbers, sizeof numbers) != 0) std::abort();
        left = at_once;
    }
    return std::exchange(numbers[--left], 0);
}

void add_privacy_settings(Settings& list, PrivacySettings& privacy) {
    using Range = Settings::Range;
    list.add("privacy.clip", privacy.clip,
             "norm to which each member's update is clipped, so that a round tells little about one; 0: off",
             Range{0, 1e6});
    list.add(
        "privacy.noise", privacy.noise,
        "standard deviation of the noise on a round's sum, in multiples of privacy.clip; `dunlin privacy` says "
        "what it is worth",
        Range{0, 1e4});
    list.add("privacy.delta", privacy.delta, "of the (epsilon, delta) that the report states", Range{1e-12, 0.1});
}

void add_mask_settings(Settings& list, MaskSettings& masks) {
    using Range = Settings::Range;
    list.add("secure_aggregation.enabled", masks.enabled,
             "real nodes: members mask their updates, so that the coordinator sees the sum of a round and no "
             "single one");
    list.add(
        "secure_aggregation.group", masks.group,
        "most members that mask for each other; larger fleets are split at random, and each group's sum is seen",
        Range{10, 128});
    list.add("secure_aggregation.bits", masks.value_bits, "bits of each number in a masked update", Range{8, 30});
    list.add("secure_aggregation.range", masks.range,
             "numbers of a masked update are clipped to this size; with privacy.clip that is the range",
             Range{1e-6, 1e6});
}

Outcome<void> check_masks(const MaskSettings& masks, AggregationName aggregation) {
    using enum AggregationName;
    if (!masks.enabled || aggregation == fedavg || aggregation == fedprox) return {};
    const char* why =
        aggregation == persafl || aggregation == fedasync
            ? "its server applies every update by itself, as it arrives"
        : aggregation == fedbuff
            ? "its buffer takes updates as they arrive, of different models, and no cohort masks together"
        : has_server(aggregation) ? "its members send more than updates"
                                  : "it has no server to hide updates from";
    return refuse(fmt::format("secure_aggregation.enabled: not there for {}: {}; use fedavg or fedprox",
                              traits_of(aggregation).name, why));
}

Outcome<void> check_privacy(const PrivacySettings& privacy, AggregationName aggregation) {
    using enum AggregationName;
    const bool noisy = privacy.noise > 0.0f;
    if (!privacy.enabled() && noisy)
        return refuse(
            fmt::format("privacy.noise = {}: noise promises nothing without privacy.clip", privacy.noise));
    if (!privacy.enabled()) return {};
    if (noisy && privacy.noise < 0.1f)
        return refuse(fmt::format("privacy.noise = {}: below 0.1 nothing is promised; 0 for none", privacy.noise));
    if (aggregation == fedavg || aggregation == fedprox) return {};
    const char* why = aggregation == persafl || aggregation == fedasync ? "every update is in the model by itself"
                      : aggregation == fedbuff                          ? "one member may be in a buffer many times"
                      : aggregation == fedadam                          ? "moments of noisy sums were not tried"
                                               : "it is no sum of a server's round, or of more than updates";
    return refuse(fmt::format("privacy.clip: not there for {}: {}; fedavg and fedprox have it",
                              traits_of(aggregation).name, why));
}

}  // namespace dunlin
