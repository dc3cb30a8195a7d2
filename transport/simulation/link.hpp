// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"
#include "core/random.hpp"
#include "transport/simulation/time.hpp"

#include <cstdint>
#include <limits>
#include <span>

namespace dunlin::simulation {

/// How long a message travels: `minimum` plus a random part of the given shape. Draws are the same bits on every
/// platform; the random part stays below 2^53 ticks.
struct Latency {
    enum class Shape : std::uint8_t {
        constant,     ///< nothing on top
        uniform,      ///< an integer from 0 to `scale`
        exponential,  ///< with mean `scale`; drawn from 2^24 steps, so below 16.7 means
        log_normal,   ///< scale * exp(sigma * N(0, 1)): median `scale`
        listed        ///< one of `times`, each as likely as the others
    };

    Shape shape = Shape::constant;
    Time minimum = 1;
    Time scale = 0;
    float sigma = 0.0f;
    std::span<const Time> times = {};  ///< belong to the caller and outlive all links that draw from them

    static constexpr Latency constant(Time ticks) { return {Shape::constant, ticks, 0, 0.0f, {}}; }
    /// Every integer from `least` to `most`.
    static constexpr Latency uniform(Time least, Time most) {
        return {Shape::uniform, least, most - least, 0.0f, {}};
    }
    static constexpr Latency exponential(Time minimum, Time mean) {
        return {Shape::exponential, minimum, mean, 0.0f, {}};
    }
    static constexpr Latency log_normal(Time minimum, Time median, float sigma) {
        return {Shape::log_normal, minimum, median, sigma, {}};
    }

    static constexpr Latency listed(Time minimum, std::span<const Time> times) {
        return {Shape::listed, minimum, 0, 0.0f, times};
    }

    /// `random` advances by at most one block.
    Time draw(Stream& random) const;
};

/// Longest that a link may hold a message: 104 days of nanoseconds.
inline constexpr Time longest_delay = Time{1} << 53;

/// What a link does to messages. Its bounds are hard: a message that chance would lose or hold beyond them arrives.
struct LinkProfile {
    static constexpr std::uint32_t unbounded = std::numeric_limits<std::uint32_t>::max();

    Latency latency;
    Time delay_limit = longest_delay;      ///< Gamma_d: most ticks from leaving to arriving
    float loss = 0.0f;                     ///< probability, in [0, 1]
    std::uint32_t loss_limit = unbounded;  ///< Gamma_f: most failures in a row
    float duplication = 0.0f;              ///< probability that a message arrives twice, in [0, 1]
    bool in_order = false;  ///< messages wait for earlier ones; else each has a delay of its own and may overtake

    /// Bandwidth, as time: a message of b bytes occupies the link for b * ticks_per_byte before it travels, and
    /// others queue behind it. 0: no limit, and nothing ever queues.
    double ticks_per_byte = 0.0;
    std::uint32_t queue_limit = 16;      ///< messages that may wait, at least 1
    bool newest_replaces_oldest = true;  ///< when the queue is full; else the newest is lost

    /// Assumption 1 of PARS-Push in rounds: delays uniform in 1 ... delay_limit (Gamma_d), at most loss_limit
    /// (Gamma_f) failures in a row.
    static constexpr LinkProfile rounds(Time delay_limit, std::uint32_t loss_limit, float loss) {
        LinkProfile profile;
        profile.latency = Latency::uniform(1, delay_limit);
        profile.delay_limit = delay_limit;
        profile.loss = loss;
        profile.loss_limit = loss_limit;
        return profile;
    }
};

/// Names a setting in Code::bad_link_setting.
enum class LinkField : std::uint8_t { latency = 1, delay_limit, loss, duplication, ticks_per_byte, queue_limit };

/// Error: bad_link_setting, with the first LinkField that is out of its range.
Result<void> check(const LinkProfile& profile);

}  // namespace dunlin::simulation
