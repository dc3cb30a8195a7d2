// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/fixed_point.hpp"

#include <cmath>
#include <limits>
#include <span>

namespace dunlin {

/// How push-sum represents mass, and by what rule it divides it: a policy, so that a test can break the rule and a
/// benchmark can show how floating-point sums drift. `ExactMass` is the one to use.
///
/// add and subtract answer false where the result does not fit; gather, difference and times are for running sums.
struct ExactMass {
    using Value = Mass;

    FixedPoint format;
    ShareDivision division;

    /// `parts`: out-neighbours and the node itself.
    ExactMass(FixedPoint fixed_point, std::uint32_t parts) : format(fixed_point), division(parts) {}

    bool from_float(float value, Value& mass) const { return format.to_mass(value, mass); }
    float to_float(Value mass) const { return format.to_float<float>(mass); }
    static bool add(Value a, Value b, Value& sum) { return add_checked(a, b, sum); }
    static bool subtract(Value a, Value b, Value& difference) { return subtract_checked(a, b, difference); }
    /// A quick answer for a whole wake-up: true only if every x, every pending mass and every step is so far from
    /// the range's end (under a quarter of it) that no sum of the three can leave it.
    bool roomy(std::span<const Value> x, std::span<const Value> pending, float step_size,
               std::span<const float> gradient) const {
        std::uint64_t bits = 0;
        for (const Value mass : x) bits |= static_cast<std::uint64_t>(mass ^ (mass >> 63));
        for (const Value mass : pending) bits |= static_cast<std::uint64_t>(mass ^ (mass >> 63));
        if (bits >= std::uint64_t{1} << 61) return false;
        const float most = static_cast<float>(format.range()) / 4.0f;
        int beyond = 0;
        for (const float slope : gradient) beyond |= !(std::abs(step_size * slope) < most);
        return beyond == 0;
    }
    /// Can a node that holds x, with `pending` to come, be given so much more? Some of the range is left for its own
    /// steps.
    static bool bears(Value x, Value pending, Value more) {
        constexpr Value room = Value{1} << 57;
        Value sum{};
        return add(pending, more, sum) && add(x, sum, sum) && sum < std::numeric_limits<Value>::max() - room &&
               sum > std::numeric_limits<Value>::min() + room;
    }
    /// A quick answer for all components: true only if none of the three is a quarter of the range.
    static bool small(std::span<const Value> x, std::span<const Value> pending, std::span<const Value> values,
                      const Value* before) {
        std::uint64_t bits = 0;
        for (std::size_t k = 0; k < x.size(); ++k) {
            const Value more = before != nullptr ? difference(values[k], before[k]) : values[k];
            bits |= static_cast<std::uint64_t>((x[k] ^ (x[k] >> 63)) | (pending[k] ^ (pending[k] >> 63)) |
                                               (more ^ (more >> 63)));
        }
        return bits < std::uint64_t{1} << 61;
    }
    static Value gather(Value a, Value b) { return add_wrapped(a, b); }
    static Value difference(Value a, Value b) { return subtract_wrapped(a, b); }
    static Value times(Value mass, std::uint64_t count) {
        return static_cast<Value>(static_cast<std::uint64_t>(mass) * count);
    }
    ShareDivision::Split split(Value mass) const { return division(mass); }
    /// mass * units / 2^16, cut; for mass >= 0 and units <= 2^16.
    static Mass part(Mass mass, std::uint32_t units) {
        return (mass >> 16) * units + ((mass & 0xffff) * units >> 16);
    }
    /// mass * 2^bits; false where it does not fit.
    static bool shift(Mass mass, unsigned bits, Mass& shifted) {
        if (bits > 62) return false;
        shifted = static_cast<Mass>(static_cast<std::uint64_t>(mass) << bits);
        return shifted >> bits == mass;
    }
    /// Can `nodes` nodes, of weight one each at the start, have sent this much weight?
    bool plausible_weight(Value weight, std::uint32_t nodes) const {
        return weight >= 0 && weight >> format.fraction_bits <= static_cast<Mass>(nodes);
    }
};

/// Plain float sums, as a straightforward implementation holds them. Their differences lose precision as the sums
/// grow: here to be measured, not to be used.
struct FloatMass {
    using Value = float;

    struct Split {
        float share, home;
    };

    float parts;

    FloatMass(FixedPoint, std::uint32_t count) : parts(static_cast<float>(count)) {}

    static bool from_float(float value, Value& mass) { return finite(mass = value); }
    static float to_float(Value mass) { return mass; }
    static bool add(Value a, Value b, Value& sum) { return finite(sum = a + b); }
    static bool subtract(Value a, Value b, Value& difference) { return finite(difference = a - b); }
    static bool bears(Value x, Value pending, Value more) { return finite(x + pending + more); }
    static bool small(std::span<const Value>, std::span<const Value>, std::span<const Value>, const Value*) {
        return false;
    }
    static Value gather(Value a, Value b) { return a + b; }
    static Value difference(Value a, Value b) { return a - b; }
    static Value times(Value mass, std::uint64_t count) { return mass * static_cast<Value>(count); }
    Split split(Value mass) const { return {mass / parts, mass / parts}; }
    static float part(float mass, std::uint32_t units) { return mass * static_cast<float>(units) * 0x1p-16f; }
    static bool shift(float mass, unsigned bits, float& shifted) {
        return bits <= 62 && finite(shifted = mass * static_cast<float>(std::uint64_t{1} << bits));
    }
    static bool plausible_weight(Value weight, std::uint32_t) { return finite(weight); }
    static bool roomy(std::span<const Value>, std::span<const Value>, float, std::span<const float>) {
        return false;
    }

private:
    static bool finite(float value) { return value - value == 0.0f; }
};

}  // namespace dunlin
