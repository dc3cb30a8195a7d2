// SPDX-License-Identifier: Apache-2.0
// What the learner costs, in instructions: under an emulator that counts one nanosecond an instruction
// (`-icount shift=0`) the counts are exact and the same every time. On silicon the same lines are in units of the
// calibration loop, two instructions; ticks of the counter come with them.
#include "core/aggregate/pars_push.hpp"
#include "core/kernels/first_order.hpp"
#include "core/optimiser.hpp"
#include "exported_policy.hpp"
#include "grid_learner.hpp"
#include "images/console.hpp"
#include "images/measure.hpp"
#include "images/measured_networks.hpp"
#include "images/minimal_learner.hpp"

#include <algorithm>
#include <array>

namespace {

using namespace dunlin;
using bench::measure;
using Exported = exported::Policy;

#ifdef DUNLIN_BOARD_HAS_ROOM
/// 2-64-64-5, relu, one sample.
struct Network {
    static constexpr MlpShape shape{.inputs = 2,
                                    .layers = 3,
                                    .widths = {64, 64, 5},
                                    .hidden = Activation::relu,
                                    .one_hot = false,
                                    .bias = true};
    static constexpr Mlp<float> mlp{shape, &first_order_kernels};

    std::array<float, shape.parameters()> parameters{}, gradient{};
    std::array<float, static_cast<std::size_t>(shape.units())> activations{}, deltas{};
    std::array<float, 2> input{};

    void forward() { mlp.forward(parameters.data(), {{input.data(), 1}}, {activations.data(), 1}, 1); }
    void backward() {
        std::fill_n(deltas.end() - 5, 5, 0.25f);
        set_zero(gradient);
        mlp.backward(parameters.data(), {{input.data(), 1}}, {activations.data(), 1}, {deltas.data(), 1}, 1,
                     gradient.data());
    }
};
constinit Network network;

void measure_network() {
    Stream random(1, 0, Purpose::initialise);
    initialise(Network::shape, random, network.parameters);
    network.input = {0.3f, -0.7f};
    measure("forward_2_64_64_5", 100, [] { network.forward(); });
    measure("forward_backward_2_64_64_5", 100, [] {
        network.forward();
        network.backward();
    });
    // The layer in the middle, without its activation.
    measure("forward_64_64", 100, [] {
        const float* const w = network.parameters.data() + 192;
        first_order_kernels.affine_one(w, w + 64 * 64, network.activations.data(), network.deltas.data(), 64, 64,
                                       Activation::identity);
    });
    measure("sgd_2_64_64_5", 100,
            [] { Sgd{.rate = 0.0f}.step<float>(network.parameters, ConstVector<float>(network.gradient)); });
}

#else
void measure_network() {}
#endif

constinit std::array<float, 32> units{}, activated_units{};
constinit std::array<std::uint8_t, 256> bytes{};

/// A unit's tanh in a layer, with the copy of its bias; a byte's CRC.
void measure_elements() {
    measured_networks::fill(3, 1.5f, units);
    measure(
        "tanh_unit", 10,
        [] {
            first_order_kernels.affine_one(nullptr, units.data(), nullptr, activated_units.data(), 0,
                                           static_cast<int>(units.size()), Activation::tanh);
        },
        static_cast<std::uint32_t>(units.size()));
    measure(
        "crc_byte", 10, [] { bytes[0] = static_cast<std::uint8_t>(crc32(std::span<const std::uint8_t>(bytes))); },
        static_cast<std::uint32_t>(bytes.size()));
}

constinit device::GridLearner<Exported> learner;

/// PARS-Push of one node with three neighbours, as many numbers as the exported policy has, up to a limit.
constexpr std::size_t push_dimension = std::min<std::size_t>(learner.dimension, DUNLIN_PUSH_SUM_LIMIT);
constexpr std::uint32_t neighbours[] = {1, 2, 3};
alignas(Arena::alignment) std::byte push_memory[ParsPush<>::memory(push_dimension, 3)];
std::array<float, push_dimension> push_gradient;
std::array<Mass, push_dimension> push_values;

void measure_push_sum() {
    Arena arena(push_memory);
    const ParsPushSettings settings{
        .network = {.nodes = 4, .dimension = push_dimension, .in_neighbours = neighbours, .out_degree = 3},
        .theta = {}};
    auto node = ParsPush<>::make(settings, ConstVector<float>(push_gradient), arena);
    if (!node) return console::line("error ", static_cast<int>(node.error().code));
    std::int64_t tick = 0;
    measure("push_sum_wake", 10, [&] { (void)node->wake(++tick, ConstVector<float>(push_gradient)); });
    measure("push_sum_receive", 10, [&] {
        (void)node->receive({1, ++tick, std::span<const Mass>(push_values), Mass{1} << 40});
    });
    console::line("push_sum_dimension ", static_cast<std::uint32_t>(push_dimension));
}

}  // namespace

int main() {
    console::line("dunlin bench on " DUNLIN_BOARD);
    measure_network();
#ifdef DUNLIN_BOARD_HAS_ROOM
    bench::measure_networks();
#endif
    measure_elements();
    for (const Activation activation : {Activation::tanh, Activation::sigmoid})
        console::line("activations ", measured_networks::activations_checksum(first_order_kernels, activation));
    bench::measure_quantised();
    if (!learner.start(Exported::seed)) return 1;
    measure("inner_step", 1, [] { (void)learner.step(); });
    measure_push_sum();
    console::line("learner_activation_bytes ", static_cast<std::uint32_t>(minimal::activation_bytes));
    console::line("learner_record_bytes ", static_cast<std::uint32_t>(minimal::record_bytes));
    console::line("learner_parameters ", static_cast<std::uint32_t>(minimal::dimension));
    console::line("stack ", board::deepest_stack());
    console::line("done");
    return 0;
}
