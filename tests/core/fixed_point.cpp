// SPDX-License-Identifier: Apache-2.0
#include "core/fixed_point.hpp"

#include "core/random.hpp"

#include <cmath>
#include <limits>
#include <vector>

using namespace dunlin;

namespace {

constexpr Mass lowest = std::numeric_limits<Mass>::min();
constexpr Mass highest = std::numeric_limits<Mass>::max();

/// Values of every magnitude, and the extremes.
std::vector<Mass> interesting_masses() {
    std::vector<Mass> masses = {lowest, lowest + 1, -2, -1, 0, 1, 2, highest - 1, highest};
    Stream random(3, 0, Purpose::user);
    for (int k = 0; k < 2000; ++k) {
        const std::uint64_t bits = random.bits64();
        masses.push_back(static_cast<Mass>(bits) >> random.below(63));
    }
    return masses;
}

}  // namespace

TEST_CASE("shares are the truncated quotient and the column sums to one exactly") {
    std::vector<std::uint32_t> divisors = {65535, 65536, 32768, 32769, 10007};
    for (std::uint32_t parts = 2; parts < 300; ++parts) divisors.push_back(parts);
    const std::vector<Mass> masses = interesting_masses();
    for (const std::uint32_t parts : divisors) {
        const ShareDivision divide(parts);
        bool quotient = true, column = true;
        for (Mass mass : masses) {
            // Multiples and their neighbours are where a rounded reciprocal would be caught.
            for (const Mass value : {mass, mass / parts * parts, add_wrapped(mass / parts * parts, -1)}) {
                const auto [share, home] = divide(value);
                quotient = quotient && share == value / static_cast<Mass>(parts);
                Mass total = home;
                for (std::uint32_t part = 1; part < std::min(parts, 40u); ++part) total += share;
                column = column && (parts > 40 || total == value) && home == value - share * Mass{parts - 1} &&
                         std::abs(static_cast<double>(home) - static_cast<double>(share)) <= parts + 2048.0;
            }
        }
        CHECK(quotient);
        CHECK(column);
    }
}

TEST_CASE("conversion checks NaN and range before there is an integer") {
    for (const int bits : {8, 24, 48, 60}) {
        const FixedPoint format{bits};
        const double range = format.range();
        Mass mass = 77;
        for (const double bad : {range, -range, 1e300, -1e300, double(INFINITY), -double(INFINITY), double(NAN)}) {
            CHECK_FALSE(format.to_mass(bad, mass));
            CHECK_FALSE(format.to_mass(static_cast<float>(bad), mass));
        }
        CHECK(mass == 77);
        CHECK(format.to_mass(std::nextafter(range, 0.0), mass));
        CHECK(format.to_mass(std::nextafter(static_cast<float>(range), 0.0f), mass));
        CHECK(format.to_mass(1.0, mass));
        CHECK(mass == Mass{1} << bits);
        CHECK(format.to_mass(-format.resolution() * 1.75, mass));
        CHECK(mass == -1);  // cut towards zero
        CHECK(format.to_float<double>(mass) == -format.resolution());
    }
}

TEST_CASE("a float survives the way through the default format where the resolution allows") {
    const FixedPoint format;
    Stream random(5, 0, Purpose::user);
    for (int k = 0; k < 1000; ++k) {
        const float value = random.normal() * 100.0f;
        Mass mass = 0;
        REQUIRE(format.to_mass(value, mass));
        CHECK(std::abs(format.to_float<double>(mass) - double{value}) <= format.resolution());
        if (std::abs(value) > 0x1p-24f) CHECK(format.to_float<float>(mass) == value);
    }
}

TEST_CASE("what does not fit is refused, and running sums wrap to right differences") {
    Mass sum = 0;
    CHECK(add_checked(highest - 1, 1, sum));
    CHECK_FALSE(add_checked(highest, 1, sum));
    CHECK_FALSE(subtract_checked(lowest, 1, sum));
    CHECK_FALSE(add_checked(lowest, -1, sum));

    Mass phi = highest - 5;
    const Mass rho = phi;
    phi = add_wrapped(phi, 1000);
    CHECK(phi < rho);
    CHECK(subtract_wrapped(phi, rho) == 1000);
    CHECK(subtract_wrapped(rho, phi) == -1000);
}

TEST_CASE("the format is checked against the total mass of the fleet") {
    const FixedPoint format;  // room for a total mass below 2^15
    CHECK(format.check(10, 3276.0));
    CHECK(format.check(32767, 0.5));
    CHECK(format.check(10, 3277.0).error() == Error{Code::mass_too_large, 32770, 32768});
    CHECK(format.check(40000, 0.1).error().code == Code::mass_too_large);  // y alone totals n
    CHECK(format.check(10, double(NAN)).error().code == Code::not_finite);
    CHECK(FixedPoint{61}.check(2, 0.1).error().code == Code::out_of_range);
    CHECK(FixedPoint{-3}.check(2, 0.1).error().code == Code::out_of_range);
    CHECK(FixedPoint{40}.check(10000, 100.0));
}
