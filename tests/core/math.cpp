// SPDX-License-Identifier: Apache-2.0
#include "core/math.hpp"

#include "core/random.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <numbers>

#include <catch2/catch.hpp>

using namespace dunlin;

namespace {

/// Units in the last place between a float and the true value.
double units(float found, double exact) {
    int exponent = 0;
    std::frexp(exact, &exponent);
    return std::abs(static_cast<double>(found) - exact) / std::ldexp(1.0, std::max(exponent, -125) - 24);
}

/// The worst error of `function` against `exact` over floats of both signs with magnitudes in [low, high].
template <class Function, class Exact>
double worst(float low, float high, bool negative, Function function, Exact exact) {
    const std::uint32_t stride = std::getenv("DUNLIN_EMULATED") == nullptr ? 1009 : 10007;
    double most = 0;
    for (auto bits = std::bit_cast<std::uint32_t>(low); bits <= std::bit_cast<std::uint32_t>(high);
         bits += stride) {
        const float x = std::bit_cast<float>(bits);
        most = std::max(most, units(function(x), exact(static_cast<double>(x))));
        if (negative) most = std::max(most, units(function(-x), exact(-static_cast<double>(x))));
    }
    return most;
}

}  // namespace

TEST_CASE("portable functions are within the stated units in the last place") {
    CHECK(worst(
              1e-38f, 87.2f, true, [](float x) { return portable::exp(x); }, [](double x) { return std::exp(x); }) <
          1.5);
    CHECK(worst(
              1.2e-38f, 3e38f, false, [](float x) { return portable::log(x); },
              [](double x) { return std::log(x); }) < 1.5);
    CHECK(worst(
              1e-38f, 3e38f, true, [](float x) { return portable::tanh(x); },
              [](double x) { return std::tanh(x); }) < 2.0);
    CHECK(worst(
              1e-38f, 87.0f, true, [](float x) { return portable::sigmoid(x); },
              [](double x) { return 1.0 / (1.0 + std::exp(-x)); }) < 3.0);
}

TEST_CASE("sine and cosine of a turn are right to 2e-7") {
    double most = 0;
    for (int k = 0; k <= 1 << 20; ++k) {
        const float u = static_cast<float>(k) * 0x1p-20f;
        const double angle = 2.0 * std::numbers::pi * static_cast<double>(u);
        const portable::SineCosine found = portable::turn(u);
        most = std::max(most, std::abs(static_cast<double>(found.sine) - std::sin(angle)));
        most = std::max(most, std::abs(static_cast<double>(found.cosine) - std::cos(angle)));
    }
    CHECK(most < 2e-7);
}

TEST_CASE("portable functions stay finite at the ends of the number line") {
    const float infinity = std::numeric_limits<float>::infinity();
    for (float x : {infinity, std::numeric_limits<float>::max(), 1e4f}) {
        CHECK(portable::tanh(x) == 1.0f);
        CHECK(portable::tanh(-x) == -1.0f);
        CHECK(std::isfinite(portable::exp(x)));
        CHECK(portable::exp(-x) < 2e-38f);
        CHECK(portable::sigmoid(x) == 1.0f);
        CHECK(portable::sigmoid(-x) < 1e-37f);
    }
}

TEST_CASE("fused products without the instruction round once, as with it") {
    Stream random(5, 0, Purpose::user);
    const auto same = [](float a, float b) {
        return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) || (a != a && b != b);
    };
    int wrong = 0;
    for (int k = 0; k < 400'000; ++k) {
        std::uint32_t a = random.bits(), b = random.bits(), c = random.bits();
        // Any bits; or of similar size, so that sums cancel and round half way; or results below the normal range.
        if (k % 4 == 1) a = (a & 0x80fff000u) | 0x3f000000u, b = (b & 0x80ffff00u) | 0x3f000000u, c &= 0xbfff0000u;
        if (k % 4 == 2) a = (a & 0x80ffffffu) | 0x20000000u, b = (b & 0x80ffffffu) | 0x1f000000u, c &= 0x81ffffffu;
        const float x = std::bit_cast<float>(a), y = std::bit_cast<float>(b), z = std::bit_cast<float>(c);
        wrong += same(portable::software_fma(x, y, z), std::fmaf(x, y, z)) ? 0 : 1;
        wrong += same(portable::integer_fma(x, y, z), std::fmaf(x, y, z)) ? 0 : 1;
        // And addends of which a product leaves a digit or two, or that are half way between two numbers.
        const std::uint32_t near = std::bit_cast<std::uint32_t>(-(x * y)) + (c & 7u) - 3u;
        const float w = std::bit_cast<float>(near);
        wrong += same(portable::integer_fma(x, y, w), std::fmaf(x, y, w)) ? 0 : 1;
    }
    CHECK(wrong == 0);
    const std::uint32_t ends[] = {0u,          0x80000000u, 1u,          0x007fffffu, 0x00800000u, 0x00800001u,
                                  0x3f800000u, 0xbf800000u, 0x3f800001u, 0x3f7fffffu, 0x7f7fffffu, 0xff7fffffu,
                                  0x7f800000u, 0xff800000u, 0x7fc00000u, 0x34000000u, 0x33ffffffu, 0x4b800000u,
                                  0x5f000000u, 0x1f000000u, 0x00ffffffu};
    for (const std::uint32_t a : ends) {
        for (const std::uint32_t b : ends) {
            for (const std::uint32_t c : ends) {
                const float x = std::bit_cast<float>(a), y = std::bit_cast<float>(b), z = std::bit_cast<float>(c);
                wrong += same(portable::integer_fma(x, y, z), std::fmaf(x, y, z)) ? 0 : 1;
            }
        }
    }
    CHECK(wrong == 0);
}

TEST_CASE("square roots by integers round correctly") {
    int wrong = 0;
    for (std::uint64_t bits = 0; bits <= 0x7f800000u; bits += 8191) {
        const float x = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
        wrong += portable::software_sqrt(x) == std::sqrt(x) ? 0 : 1;
    }
    CHECK(wrong == 0);
}
