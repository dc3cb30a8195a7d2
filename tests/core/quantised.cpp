// SPDX-License-Identifier: Apache-2.0
#include "core/kernels/quantised.hpp"

#include "core/random.hpp"

#include <array>
#include <cmath>
#include <vector>

#include <catch2/catch.hpp>

using namespace dunlin;

TEST_CASE("a layer of whole numbers is the layer of its weights, to the rounding of one output") {
    constexpr int inputs = 48, outputs = 21;
    Stream random(7, 0, Purpose::user);
    std::vector<float> w(inputs * outputs);  // inputs x outputs, as other layers have them
    for (std::size_t k = 0; k < w.size(); ++k) w[k] = random.normal() * (k % outputs == 3 ? 40.0f : 1.0f);
    for (int i = 0; i < inputs; ++i) w[static_cast<std::size_t>(i * outputs + 5)] = 0.0f;
    std::array<std::int8_t, inputs> x{};
    for (std::int8_t& value : x) value = static_cast<std::int8_t>(static_cast<int>(random.below(255)) - 127);

    std::vector<std::uint8_t> weights(w.size());
    std::array<std::int32_t, outputs> bias{}, scales{};
    std::array<float, outputs> out_units{}, weight_units{};
    for (int o = 0; o < outputs; ++o) {
        const auto at = static_cast<std::size_t>(o);
        weight_units[at] = quantise_row(w.data() + o, outputs, inputs, weights.data() + at * inputs);
        out_units[at] = o == 3 ? 200.0f : 5.0f;  // what an output of 1 stands for, inputs being units
        bias[at] = static_cast<std::int32_t>(100.0f / weight_units[at]);
        scales[at] = quantised_scale(weight_units[at] / out_units[at]);
    }
    for (const bool clips : {false, true}) {
        std::array<std::int8_t, outputs> y{};
        QuantisedDense<inputs, outputs>{weights.data(), bias.data(), scales.data(), clips}.forward(x.data(),
                                                                                                   y.data());
        for (int o = 0; o < outputs; ++o) {
            const auto at = static_cast<std::size_t>(o);
            CAPTURE(clips, o);
            double exact = bias[at] * static_cast<double>(weight_units[at]), error = 0.0;
            std::int64_t whole = bias[at];
            for (int i = 0; i < inputs; ++i) {
                exact += static_cast<double>(w[static_cast<std::size_t>(i * outputs + o)]) *
                         x[static_cast<std::size_t>(i)];
                error += 0.5 * static_cast<double>(weight_units[at]) * std::abs(x[static_cast<std::size_t>(i)]);
                whole +=
                    (weights[at * inputs + static_cast<std::size_t>(i)] - 128) * x[static_cast<std::size_t>(i)];
            }
            const double low = clips ? 0.0 : -127.0;
            const double scaled = std::floor(static_cast<double>(whole) * scales[at] / 33554432.0 + 0.5);
            CHECK(y[at] == std::min(127.0, std::max(low, scaled)));
            const double wanted = std::min(127.0, std::max(low, exact / static_cast<double>(out_units[at])));
            CHECK(std::abs(y[at] - wanted) <= 0.51 + error / static_cast<double>(out_units[at]));
        }
    }
}
