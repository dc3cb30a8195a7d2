// SPDX-License-Identifier: Apache-2.0
// A device's learner of samples, as a node of a fleet: against what a host's node computes from the same samples.
#include "core/adapt/plain.hpp"
#include "envs/classification.hpp"
#include "sample_node.hpp"
#include "training/host/host_memory.hpp"

#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <vector>

#include <catch2/catch.hpp>

using namespace dunlin;
using device::SampleLearning;
using device::Target;

namespace {

template <std::size_t count>
constexpr std::array<float, count> some_numbers(float scale) {
    std::array<float, count> all{};
    std::uint32_t state = 7;
    for (float& w : all) {
        state = state * 1664525u + 1013904223u;
        w = static_cast<float>(static_cast<std::int32_t>(state)) * 0x1p-31f * scale;
    }
    return all;
}

struct Layers {
    static constexpr NetworkShape shape =
        *NetworkShape::make({6, 6, 1}, false,
                            std::array{LayerSpec{.kind = LayerKind::convolution,
                                                 .activation = Activation::relu,
                                                 .outputs = 4,
                                                 .kernel_height = 3,
                                                 .kernel_width = 3,
                                                 .stride_height = 2,
                                                 .stride_width = 2},
                                       LayerSpec{.kind = LayerKind::global_pool}, LayerSpec{.outputs = 3}});
    static constexpr auto parameters = some_numbers<shape.parameters()>(0.8f);
    static constexpr std::uint32_t checksum = crc32(std::span<const float>(parameters));
    static constexpr Target target = Target::classes;
    static constexpr std::size_t frozen = 0;
    static constexpr SampleLearning learning{.batch = 5, .steps = 7, .rate = 0.3f, .pull = 0.1f};
    using Host = Classification<float, NetworkDerivatives<float>>;
};

struct Perceptron {
    static constexpr MlpShape shape{
        .inputs = 36, .layers = 2, .widths = {8, 3}, .hidden = Activation::tanh, .bias = true};
    static constexpr auto parameters = some_numbers<shape.parameters()>(0.4f);
    static constexpr std::uint32_t checksum = crc32(std::span<const float>(parameters));
    static constexpr auto centre = some_numbers<36>(0.2f);
    static constexpr auto scale = [] {
        std::array<float, 36> all{};
        all.fill(1.5f);
        return all;
    }();
    static constexpr Target target = Target::classes;
    static constexpr std::size_t frozen = 0;
    static constexpr SampleLearning learning{.batch = 8, .steps = 4, .rate = 0.2f};
    using Host = Classification<float>;
};

struct Number : Perceptron {
    static constexpr MlpShape shape{
        .inputs = 36, .layers = 2, .widths = {8, 1}, .hidden = Activation::tanh, .bias = true};
    static constexpr auto parameters = some_numbers<shape.parameters()>(0.4f);
    static constexpr std::uint32_t checksum = crc32(std::span<const float>(parameters));
    static constexpr Target target = Target::value;
    static constexpr SampleLearning learning{.batch = 32, .steps = 30, .rate = 0.1f};
};

constexpr std::uint32_t kept_count = 20, judged_count = 12;

/// Samples that a class can be told of.
struct Drawn {
    std::vector<std::uint8_t> bytes, labels;
    Drawn() {
        Stream random(3, 0, Purpose::user);
        for (std::uint32_t k = 0; k < kept_count + judged_count; ++k) {
            labels.push_back(static_cast<std::uint8_t>(k % 3));
            for (std::uint32_t i = 0; i < 36; ++i)
                bytes.push_back(static_cast<std::uint8_t>(random.below(i % 3 == k % 3 ? 256 : 100)));
        }
    }
};

/// What a host learns by, of the same samples.
template <class E>
struct HostNode {
    Drawn drawn;
    std::vector<float> values;
    std::vector<std::uint32_t> rows = std::vector<std::uint32_t>(kept_count),
                               test = std::vector<std::uint32_t>(judged_count);
    HostMemory memory{E::Host::bytes(E::shape, E::learning.batch, 4)};
    Arena arena{memory.bytes()};
    typename E::Host task = *E::Host::make(E::shape, **find_kernels("reference"), E::learning.batch, 4, arena);

    HostNode() {
        for (std::size_t at = 0; at < drawn.bytes.size(); ++at) {
            float x = static_cast<float>(drawn.bytes[at]) / 255.0f;
            if constexpr (requires { E::centre; }) x = (x - E::centre[at % 36]) * E::scale[at % 36];
            values.push_back(x);
        }
        std::iota(rows.begin(), rows.end(), 0u);
        std::iota(test.begin(), test.end(), kept_count);
        task.node = of(rows);
    }
    LabelledRows of(const std::vector<std::uint32_t>& which) const {
        return {values.data(), drawn.labels.data(), 36, which};
    }
    template <class Adaptation>
    std::vector<float> gradient(const Adaptation& by, ConstVector<float> w, Stream random) {
        std::vector<float> out(w.size()), scratch(by.scratch(w.size()));
        by.template gradient<float>(task, w, random, Vector<float>(out), Vector<float>(scratch));
        return out;
    }
};

template <class E>
using Node = device::SampleNode<E, std::uint8_t, kept_count>;

template <class Learner>
std::unique_ptr<Learner> met(const Drawn& drawn) {
    auto node = std::make_unique<Learner>();
    REQUIRE(node->start(1));
    const std::span bytes(drawn.bytes);
    const std::span labels(drawn.labels);
    for (std::size_t k = 0; k < kept_count; ++k)
        REQUIRE(node->keep(bytes.subspan(k * 36, 36), static_cast<float>(labels[k])));
    node->judge_on(bytes.subspan(std::size_t{kept_count} * 36), labels.subspan(kept_count));
    return node;
}

void check_close(const std::vector<float>& one, const std::vector<float>& other) {
    float size = 0, apart = 0;
    for (std::size_t k = 0; k < one.size(); ++k) {
        size = std::max(size, std::abs(other[k]));
        apart = std::max(apart, std::abs(one[k] - other[k]));
    }
    CHECK(size > 1e-3f);
    CHECK(apart <= 1e-5f * size);
}

template <class E>
void check_gradients() {
    HostNode<E> host;
    const auto node = met<Node<E>>(host.drawn);
    const std::vector<float> w(E::parameters.begin(), E::parameters.end());
    const Maml maml{.steps = 3, .inner_rate = 0.4f, .first_order = true, .step_clip = 0.3f};
    for (const bool fresh : {false, true}) {
        const MoreauEnvelope moreau{
            .prox_weight = 2.0f, .inner_rate = 0.2f, .accuracy = 1e-4f, .step_limit = 6, .fresh_batches = fresh};
        for (const Objective objective : {Objective::plain, Objective::maml, Objective::moreau}) {
            REQUIRE(node->understands(objective, moreau, maml));
            CAPTURE(fresh, static_cast<int>(objective));
            const Stream random(5, 2, Purpose::user);
            Stream own = random;
            std::vector<float> out(w.size());
            int pauses = 0;
            node->gradient(objective, moreau, maml, w, own, out, [&] { ++pauses; });
            CHECK(pauses >= E::learning.batch);
            check_close(out, objective == Objective::plain  ? host.gradient(Plain{}, w, random)
                             : objective == Objective::maml ? host.gradient(maml, w, random)
                                                            : host.gradient(moreau, w, random));
        }
    }
    CHECK_FALSE(node->understands(Objective::maml, {}, Maml{}));
    CHECK_FALSE(node->understands(Objective::bilevel, {}, {}));
}

/// What a node reports is what a host's node of the same seed would: made its own, and judged.
template <class E>
void check_report() {
    HostNode<E> host;
    const auto node = met<Node<E>>(host.drawn);
    const std::vector<float> w(E::parameters.begin(), E::parameters.end());
    std::vector<float> theta = w, scratch(w.size());
    Stream random(9, 4, Purpose::evaluate);
    const MoreauEnvelope towards{.prox_weight = E::learning.pull, .inner_rate = E::learning.rate, .accuracy = 0.0f};
    for (int k = 0; k < E::learning.steps; ++k) {
        host.task.draw(0, ConstVector<float>(theta), random);
        towards.step<float>(host.task, w, Vector<float>(theta), Vector<float>(scratch));
    }
    const ClassificationScore score = host.task.evaluate(host.of(host.test), theta);

    std::array<double, 2> told{};
    node->measure({}, w, 9, 4, Vector<float>(scratch), told, [] {});
    check_close({node->personal().begin(), node->personal().end()}, theta);
    CHECK(told[0] == Approx(score.accuracy()));
    CHECK(told[1] == Approx(score.loss()).epsilon(1e-4));
    CHECK(node->metrics()[0] == "accuracy");
    // Without samples that are held out it says what it was judged on.
    node->judge_on({}, {});
    CHECK(node->metrics()[0] == "train_accuracy");
}

}  // namespace

TEST_CASE("a device's node takes a host's gradients, of layers and of a perceptron, by each objective") {
    check_gradients<Layers>();
    check_gradients<Perceptron>();
}

TEST_CASE("a device's node makes a model its own and judges it as a host's node does") {
    check_report<Layers>();
    check_report<Perceptron>();
}

TEST_CASE("a device's node learns numbers, of as many samples as it has room for") {
    const auto node = std::make_unique<device::SampleNode<Number, float, 32>>();
    REQUIRE(node->start(1));
    Stream random(2, 0, Purpose::user);
    std::array<float, 36> sample{};
    for (int k = 0; k < 60; ++k) {
        for (std::size_t i = 0; i < sample.size(); ++i)
            sample[i] = Number::centre[i] + random.normal() / Number::scale[i];
        REQUIRE(node->keep(sample, 0.5f * sample[3] - sample[8]));
    }
    CHECK(node->kept() == 32);
    for (const float label : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
        CHECK_FALSE(node->keep(sample, label));
    CHECK(node->metrics()[0] == "train_squared_error");

    // Plain steps by the node's gradients lower what it reports; here it is judged on what it learned from.
    std::vector<float> w(Number::parameters.begin(), Number::parameters.end()), out(w.size()), scratch(w.size());
    std::array<double, 2> first{}, last{};
    node->measure({}, w, 1, 0, Vector<float>(scratch), first, [] {});
    CHECK(first[0] == Approx(2.0 * first[1]));
    for (int k = 0; k < 200; ++k) {
        node->gradient(Objective::plain, {}, {}, w, random, Vector<float>(out), [] {});
        for (std::size_t p = 0; p < w.size(); ++p) w[p] -= 0.1f * out[p];
    }
    node->measure({}, w, 1, 0, Vector<float>(scratch), last, [] {});
    CHECK(last[0] < 0.5 * first[0]);
    // What a label comes from is learned: the number of a sample, by the model that is now the node's own.
    CHECK(std::isfinite(node->answer(sample)[0]));
}

TEST_CASE("a device's node keeps no label that is no class, and without samples stays where it is") {
    const auto node = std::make_unique<device::SampleNode<Perceptron, std::uint8_t, 4>>();
    REQUIRE(node->start(1));
    const std::array<std::uint8_t, 36> bytes{};
    for (const float label : {-1.0f, 3.0f, std::numeric_limits<float>::quiet_NaN()})
        CHECK_FALSE(node->keep(bytes, label));
    CHECK(node->kept() == 0);
    const std::vector<float> w(Perceptron::parameters.begin(), Perceptron::parameters.end());
    std::vector<float> out(w.size(), 1.0f);
    Stream random(2, 0, Purpose::user);
    node->gradient(Objective::plain, {}, {}, w, random, Vector<float>(out), [] {});
    CHECK(out == std::vector<float>(w.size()));
    std::array<double, 2> told{};
    node->measure({}, w, 1, 0, Vector<float>(out), told, [] {});
    CHECK(std::vector<float>(node->personal().begin(), node->personal().end()) == w);
    CHECK(told == std::array<double, 2>{});
}
