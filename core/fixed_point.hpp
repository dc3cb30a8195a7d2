// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"

#include <bit>
#include <concepts>
#include <cstdint>

namespace dunlin {

/// Mass that is conserved to the bit: a 64-bit two's-complement number of units of 2^-fraction_bits.
///
/// Two kinds of quantity are kept in it, and they are added differently:
///
/// - what a node holds (x and y) must be right itself: `add_checked` and `subtract_checked` answer false where the
///   result does not fit, and the caller refuses the operation before it has changed anything;
/// - running sums (phi and rho) grow for ever and only their differences mean something: `add_wrapped` and
///   `subtract_wrapped` work modulo 2^64, and a difference is right as long as the mass outstanding on that edge
///   fits.
using Mass = std::int64_t;

constexpr Mass add_wrapped(Mass a, Mass b) {
    return static_cast<Mass>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}
constexpr Mass subtract_wrapped(Mass a, Mass b) {
    return static_cast<Mass>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}
/// Writes a + b to `sum` and answers true if it fits; `sum` is unusable otherwise.
constexpr bool add_checked(Mass a, Mass b, Mass& sum) {
    return !__builtin_add_overflow(a, b, &sum);
}
constexpr bool subtract_checked(Mass a, Mass b, Mass& difference) {
    return !__builtin_sub_overflow(a, b, &difference);
}

/// How many of the 64 bits stand behind the binary point: a setting of the job, the same on every node.
///
///     resolution   2^-fraction_bits        3.6e-15 by default
///     range        +-2^(63-fraction_bits)  32,768 by default
///
/// The range must hold the total mass of a fleet, n times the largest |z| and n itself (`check`): a node may come
/// to hold nearly all of it. A node with a small push-sum weight y divides by it, so z is resolved to
/// 2^-fraction_bits/y: keep as many bits as the range allows.
struct FixedPoint {
    static constexpr int least_fraction_bits = 8;
    static constexpr int most_fraction_bits = 60;

    int fraction_bits = 48;

    constexpr double resolution() const { return power(-fraction_bits); }
    constexpr double range() const { return power(63 - fraction_bits); }

    /// Do n nodes with values up to `largest_value` fit? Errors: out_of_range (the fraction bits themselves),
    /// mass_too_large (first: the total mass; second: the range), not_finite.
    constexpr Result<void> check(std::uint32_t nodes, double largest_value) const {
        if (fraction_bits < least_fraction_bits || fraction_bits > most_fraction_bits) {
            return fail(Code::out_of_range, fraction_bits, most_fraction_bits);
        }
        if (!(largest_value >= 0.0 && largest_value < 0x1p62)) return fail(Code::not_finite);
        const double total = nodes * (largest_value > 1.0 ? largest_value : 1.0);
        if (!(total < range())) {
            const double shown = total < 0x1p62 ? total : 0x1p62;
            return fail(Code::mass_too_large, static_cast<std::int64_t>(shown), static_cast<std::int64_t>(range()));
        }
        return {};
    }

    /// Writes `value`, cut to whole units towards zero, to `mass`; false for NaN, infinity and what is out of
    /// range. Scaling by a power of two is exact, so every processor returns the same bits.
    template <std::floating_point F>
    constexpr bool to_mass(F value, Mass& mass) const {
        const F units = value * static_cast<F>(power(fraction_bits));
        if (!(units > F(-0x1p63) && units < F(0x1p63))) return false;
        mass = static_cast<Mass>(units);
        return true;
    }

    /// To the nearest floating-point number.
    template <std::floating_point F>
    constexpr F to_float(Mass mass) const {
        return static_cast<F>(mass) * static_cast<F>(power(-fraction_bits));
    }

private:
    static constexpr double power(int exponent) {
        return std::bit_cast<double>(static_cast<std::uint64_t>(1023 + exponent) << 52);
    }
};

/// Divides mass into equal shares, one for each of `parts` - 1 neighbours, such that nothing is lost: every share
/// is the quotient cut towards zero, and what remains, the home share and the remainder, stays:
///
///     share = trunc(value / parts),   home = value - (parts - 1) share
///
/// The quotient is computed without a division, by the high half of a product with the rounded-up reciprocal
/// 2^(63+s)/parts, 2^(s-1) < parts <= 2^s, which is exact for magnitudes up to 2^63 (Granlund and Montgomery 1994,
/// section 4), from 32-bit halves: the same on a microcontroller as in vector registers.
class ShareDivision {
public:
    static constexpr std::uint32_t most_parts = 1u << 16;

    struct Split {
        Mass share, home;
    };

    ShareDivision() = default;
    /// `parts` lies in [2, most_parts].
    explicit constexpr ShareDivision(std::uint32_t parts) : others_(parts - 1) {
        shift_ = std::bit_width(others_) - 1;
        std::uint64_t remainder = (std::uint64_t{2} << shift_) - parts;
        reciprocal_ = 1;
        for (int digit = 0; digit < 3; ++digit) {  // 63 bits of quotient, 21 at a time
            remainder <<= 21;
            reciprocal_ = reciprocal_ << 21 | remainder / parts;
            remainder %= parts;
        }
        ++reciprocal_;
    }

    constexpr Split operator()(Mass value) const {
        const std::uint64_t bits = static_cast<std::uint64_t>(value);
        const std::uint64_t sign = value < 0 ? ~std::uint64_t{0} : 0;
        const std::uint64_t quotient = high_half((bits ^ sign) - sign) >> shift_;
        const std::uint64_t share = (quotient ^ sign) - sign;
        return {static_cast<Mass>(share), static_cast<Mass>(bits - share * others_)};
    }

private:
    constexpr std::uint64_t high_half(std::uint64_t magnitude) const {
        constexpr std::uint64_t low = 0xffffffffu;
        const std::uint64_t a0 = magnitude & low, a1 = magnitude >> 32;
        const std::uint64_t b0 = reciprocal_ & low, b1 = reciprocal_ >> 32;
        const std::uint64_t first = a1 * b0 + (a0 * b0 >> 32);
        const std::uint64_t second = a0 * b1 + (first & low);
        return a1 * b1 + (first >> 32) + (second >> 32);
    }

    std::uint64_t reciprocal_ = 0;
    std::uint32_t others_ = 1;
    int shift_ = 0;
};

}  // namespace dunlin
