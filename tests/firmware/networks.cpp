// SPDX-License-Identifier: Apache-2.0
#include "core/checksum.hpp"
#include "core/network/network.hpp"
#include "firmware/board.hpp"
#include "images/measured_networks.hpp"

#include <filesystem>
#include <sstream>
#include <vector>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::firmware;

namespace {

/// What this machine's reference kernels make of a network that bench ran, against what bench said.
template <const NetworkShape& shape>
void compare(const char* name) {
    CAPTURE(name);
    std::vector<float> w(shape.parameters()), x(static_cast<std::size_t>(shape.input.size())),
        activations(static_cast<std::size_t>(shape.units())), deltas(activations.size()), gradient(w.size()),
        scratch(shape.scratch_scalars());
    measured_networks::fill(1, 0.3f, w);
    measured_networks::fill(2, 1.0f, x);
    const Network<float> network{shape, generic_kernels<float>(), scratch.data()};
    network.forward(w.data(), {{x.data(), 1}}, {activations.data(), 1}, 1);
    for (int k = 0; k < shape.outputs(); ++k)
        network.output(Columns<float>{deltas.data(), 1}).row(k)[0] = 0.125f * static_cast<float>(k + 1);
    network.backward(w.data(), {{x.data(), 1}}, {activations.data(), 1}, {deltas.data(), 1}, 1, gradient.data());
    const auto said = words_after(bench_text(), name);
    CHECK(std::stoul(said.at(0)) == crc32(std::span<const float>(gradient)));
    CHECK(std::stoul(said.at(1)) == crc32(std::span<const float>(activations)));
}

}  // namespace

TEST_CASE("a board trains networks of layers with the bits of the host") {
    if (!std::filesystem::exists(build_folder() / "learner.map")) return;  // a small board
    compare<measured_networks::keywords>("gradient_keywords");
    compare<measured_networks::gru>("gradient_gru");
}

TEST_CASE("tanh and sigmoid on a board have the bits of the host over all numbers") {
    std::istringstream lines(bench_text());
    std::vector<std::uint32_t> said;
    for (std::string word; lines >> word;) {
        if (word == "activations") lines >> said.emplace_back();
    }
    const auto here = [](Activation activation) {
        return measured_networks::activations_checksum(generic_kernels<float>(), activation);
    };
    CHECK(said == std::vector{here(Activation::tanh), here(Activation::sigmoid)});
}

TEST_CASE("a layer of whole numbers gives on a board what it gives on the host") {
    std::array<std::int32_t, 64> bias{}, scales{};
    std::array<std::int8_t, 64> x{}, y{};
    measured_networks::fill_quantised(bias, scales, x);
    QuantisedDense<64, 64>{measured_networks::quantised_weights.data(), bias.data(), scales.data(), true}.forward(
        x.data(), y.data());
    std::array<std::uint8_t, 64> bytes{};
    for (std::size_t k = 0; k < bytes.size(); ++k) bytes[k] = static_cast<std::uint8_t>(y[k]);
    CHECK(std::stoul(words_after(bench_text(), "outputs_64_64_int8").at(0)) ==
          crc32(std::span<const std::uint8_t>(bytes)));
}
