// SPDX-License-Identifier: Apache-2.0
#include "transport/simulation/link.hpp"

#include "core/math.hpp"

#include <algorithm>

namespace dunlin::simulation {
namespace {

bool is_probability(float value) {
    return value >= 0.0f && value <= 1.0f;
}

bool is_delay(Time time) {
    return time >= 0 && time <= longest_delay;
}

}  // namespace

Time Latency::draw(Stream& random) const {
    const double span = static_cast<double>(scale);
    double ticks = 0.0;
    switch (shape) {
        case Shape::constant:
            return minimum;
        case Shape::uniform:
            return minimum + std::min(static_cast<Time>(random.uniform_double() * (span + 1.0)), scale);
        case Shape::exponential:
            ticks = -static_cast<double>(portable::log(1.0f - random.uniform())) * span;
            break;
        case Shape::log_normal:
            ticks = static_cast<double>(portable::exp(sigma * random.normal())) * span;
            break;
        case Shape::listed:
            return minimum + times[random.below(static_cast<std::uint32_t>(times.size()))];
    }
    return minimum + static_cast<Time>(std::min(ticks + 0.5, static_cast<double>(longest_delay)));
}

Result<void> check(const LinkProfile& profile) {
    const auto bad = [](LinkField field) { return fail(Code::bad_link_setting, static_cast<std::int64_t>(field)); };
    const Latency& latency = profile.latency;
    if (!is_delay(latency.minimum) || !is_delay(latency.scale) ||
        !(latency.sigma >= 0.0f && latency.sigma <= 10.0f))
        return bad(LinkField::latency);
    if (latency.shape == Latency::Shape::listed &&
        (latency.times.empty() || !std::ranges::all_of(latency.times, is_delay)))
        return bad(LinkField::latency);
    if (!is_delay(profile.delay_limit) || profile.delay_limit < latency.minimum) return bad(LinkField::delay_limit);
    if (!is_probability(profile.loss)) return bad(LinkField::loss);
    if (!is_probability(profile.duplication)) return bad(LinkField::duplication);
    if (!(profile.ticks_per_byte >= 0.0 && profile.ticks_per_byte <= 1e15)) return bad(LinkField::ticks_per_byte);
    if (profile.queue_limit < 1) return bad(LinkField::queue_limit);
    return {};
}

}  // namespace dunlin::simulation
