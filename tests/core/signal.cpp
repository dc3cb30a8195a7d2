// SPDX-License-Identifier: Apache-2.0
#include "core/reservoir.hpp"
#include "core/signal/log_mel.hpp"
#include "core/signal/window.hpp"

#include <cmath>
#include <numbers>
#include <vector>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::signal;

namespace {

/// |X(k)|^2 as it is defined, in double.
std::vector<double> power_by_definition(const std::vector<double>& x) {
    std::vector<double> power(x.size() / 2 + 1);
    for (std::size_t k = 0; k < power.size(); ++k) {
        double re = 0, im = 0;
        for (std::size_t n = 0; n < x.size(); ++n) {
            const double angle =
                2 * std::numbers::pi * static_cast<double>(k * n % x.size()) / static_cast<double>(x.size());
            re += x[n] * std::cos(angle);
            im -= x[n] * std::sin(angle);
        }
        power[k] = re * re + im * im;
    }
    return power;
}

template <std::size_t N>
void compare_spectra() {
    CAPTURE(N);
    Stream random(4, 0, Purpose::samples);
    std::array<float, N> x{};
    for (float& v : x) v = random.normal();
    const std::vector<double> expected = power_by_definition({x.begin(), x.end()});
    std::array<float, RealFft<N>::bins> power{};
    RealFft<N>{}.power(x, power);
    const double largest = *std::max_element(expected.begin(), expected.end());
    for (std::size_t k = 0; k < expected.size(); ++k)
        REQUIRE(static_cast<double>(power[k]) == Approx(expected[k]).margin(2e-6 * largest));
}

}  // namespace

TEST_CASE("a spectrum is the discrete Fourier transform's, of every length") {
    compare_spectra<4>();
    compare_spectra<8>();
    compare_spectra<16>();
    compare_spectra<64>();
    compare_spectra<256>();
    compare_spectra<2048>();
}

TEST_CASE("the energy of a tone is in its band, and all bands share all of it") {
    std::array<float, 128> x{};
    for (std::size_t n = 0; n < x.size(); ++n)
        x[n] = static_cast<float>(std::sin(2 * std::numbers::pi * 20.0 * static_cast<double>(n) / 128));
    std::array<float, 65> power{};
    RealFft<128>{}.power(x, power);
    const float all = band_energy(power, 0, 0.5f);
    CHECK(band_energy(power, 0.125f, 0.25f) == Approx(all).epsilon(1e-5));
    CHECK(all == Approx(64 * 64).epsilon(1e-5));
    CHECK(band_energy(power, 0, 0.125f) + band_energy(power, 0.125f, 0.5f) == Approx(all));
}

TEST_CASE("log-mel bands are those of their definition, in double, by the definition of the transform") {
    constexpr std::size_t frame = 256, bands = 20;
    Stream random(6, 0, Purpose::samples);
    std::array<float, frame> x{};
    for (std::size_t n = 0; n < frame; ++n)
        x[n] = 0.1f * random.normal() + static_cast<float>(std::sin(0.5 * static_cast<double>(n)));
    LogMel<frame, bands> ears({});
    std::array<float, bands> heard{};
    ears.frame(x, heard);

    std::vector<double> windowed(frame);
    for (std::size_t n = 0; n < frame; ++n) {
        const double hann = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(n) / (frame - 1));
        windowed[n] = hann * static_cast<double>(x[n]);
    }
    const std::vector<double> power = power_by_definition(windowed);
    const auto mel = [](double f) { return 2595 * std::log10(1 + f / 700); };
    const auto edge = [&](std::size_t k) {
        const double at = mel(100) + (mel(3800) - mel(100)) * static_cast<double>(k) / (bands + 1);
        return 700 * (std::pow(10, at / 2595) - 1);
    };
    for (std::size_t b = 0; b < bands; ++b) {
        double sum = 0;
        for (std::size_t k = 0; k < power.size(); ++k) {
            const double f = static_cast<double>(k) * 8000 / frame;
            const double up = (f - edge(b)) / (edge(b + 1) - edge(b)),
                         down = (edge(b + 2) - f) / (edge(b + 2) - edge(b + 1));
            sum += std::max(0.0, std::min(up, down)) * power[k];
        }
        CAPTURE(b);
        CHECK(static_cast<double>(heard[b]) == Approx(10 * std::log10(sum)).margin(2e-3));
    }
    std::vector<float> decibels{-10, -40, -90};
    beside_loudest(decibels);
    CHECK(decibels == std::vector<float>{1.0f, 0.5f, 0.0f});
}

TEST_CASE("a window holds the last numbers, the oldest first, and says when it moved on") {
    Window<4> window;
    std::vector<int> moves;
    for (int k = 0; k < 10; ++k) {
        window.push(static_cast<float>(k));
        if (window.moved(3)) moves.push_back(k);
    }
    CHECK(moves == std::vector<int>{3, 6, 9});
    std::array<float, 4> last{};
    window.copy(last);
    CHECK(last == std::array<float, 4>{6, 7, 8, 9});
}

TEST_CASE("means and variances of a window and of a stream are those of double precision, far from zero too") {
    Stream random(8, 0, Purpose::samples);
    std::vector<float> x(500);
    RunningMoments running;
    double sum = 0, squares = 0;
    for (float& v : x) {
        v = 1000.0f + random.normal();
        running.push(v);
        sum += static_cast<double>(v);
    }
    for (const float v : x) squares += std::pow(static_cast<double>(v) - sum / 500, 2);
    const Moments found = moments(x);
    CHECK(static_cast<double>(found.mean) == Approx(sum / 500).epsilon(1e-6));
    CHECK(static_cast<double>(found.variance) == Approx(squares / 500).epsilon(1e-3));
    CHECK(static_cast<double>(running.mean) == Approx(sum / 500).epsilon(1e-6));
    CHECK(static_cast<double>(running.variance) == Approx(squares / 500).epsilon(1e-2));
    RunningMoments forgetful{.forget = 0.1f};
    for (int k = 0; k < 500; ++k) forgetful.push(k < 250 ? 0.0f : 5.0f);
    CHECK(forgetful.mean == Approx(5.0f).epsilon(1e-4));
}

TEST_CASE("a reservoir keeps each of a stream's samples with the same probability") {
    Stream random(10, 0, Purpose::samples);
    std::array<int, 20> kept{};
    for (int trial = 0; trial < 4000; ++trial) {
        Reservoir reservoir{.capacity = 5};
        std::array<int, 5> store{};
        for (int k = 0; k < 20; ++k) {
            if (const auto at = reservoir.place(random)) store[*at] = k;
        }
        CHECK(reservoir.kept() == 5);
        for (const int k : store) ++kept[static_cast<std::size_t>(k)];
    }
    // 1000 each, with a deviation of 27.
    for (const int count : kept) CHECK(std::abs(count - 1000) < 5 * 27);
}
