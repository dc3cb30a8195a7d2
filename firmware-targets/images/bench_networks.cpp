// SPDX-License-Identifier: Apache-2.0
// What networks of layers cost, compiled for speed, as a firmware that trains one would.
#include "core/checksum.hpp"
#include "core/kernels/quantised.hpp"
#include "images/measure.hpp"
#include "images/measured_networks.hpp"

extern "C" {
void region_begin() {
    asm volatile("");
}
void region_end() {
    asm volatile("");
}
}

namespace dunlin::bench {
namespace {

constinit measured_networks::OneSample<measured_networks::keywords> keywords;
constinit measured_networks::OneSample<measured_networks::gru> gru;

/// A checksum of all that backward wrote, for a host to compare.
template <class Sample>
void say_gradient(const char* name, Sample& sample) {
    sample.forward();
    sample.backward();
    console::line(name, " ", crc32(std::span<const float>(sample.gradient)), " ",
                  crc32(std::span<const float>(sample.activations)));
}

}  // namespace

namespace {

/// 64 to 64 in whole numbers of 8 bits.
struct Quantised {
    std::array<std::int32_t, 64> bias{};
    std::array<std::int32_t, 64> scales{};
    std::array<std::int8_t, 64> x{}, y{};

    QuantisedDense<64, 64> layer() const {
        return {measured_networks::quantised_weights.data(), bias.data(), scales.data(), true};
    }
    void start() { measured_networks::fill_quantised(bias, scales, x); }
};
constinit Quantised quantised;

}  // namespace

void measure_quantised() {
    quantised.start();
    measure("forward_64_64_int8", 10, [] { quantised.layer().forward(quantised.x.data(), quantised.y.data()); });
    std::array<std::uint8_t, 64> bytes{};
    for (std::size_t k = 0; k < bytes.size(); ++k) bytes[k] = static_cast<std::uint8_t>(quantised.y[k]);
    console::line("outputs_64_64_int8 ", crc32(std::span<const std::uint8_t>(bytes)));
}

void measure_networks() {
    keywords.start();
    measure("forward_keywords", 10, [] { keywords.forward(); });
    measure("forward_backward_keywords", 10, [] {
        keywords.forward();
        keywords.backward();
    });
    say_gradient("gradient_keywords", keywords);
    console::line("keywords_ram_bytes ", static_cast<std::uint32_t>(sizeof keywords));
    gru.start();
    measure("gru_32_8_20", 5, [] {
        gru.forward();
        gru.backward();
    });
    say_gradient("gradient_gru", gru);
}

}  // namespace dunlin::bench
