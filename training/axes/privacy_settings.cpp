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
                      : aggregation == fedadam ? "moments of noisy sums were not tried"
                                               : "it is no sum of a server's round, or of more than updates";
    return refuse(fmt::format("privacy.clip: not there for {}: {}; fedavg and fedprox have it",
                              traits_of(aggregation).name, why));
}

}  // namespace dunlin
