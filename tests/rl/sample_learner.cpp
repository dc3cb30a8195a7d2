// SPDX-License-Identifier: Apache-2.0
// A device's model that learns from samples which it keeps.
#include "sample_learner.hpp"

#include "allocations.hpp"

#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include <catch2/catch.hpp>

using namespace dunlin;
using device::Target;

namespace {

std::vector<unsigned char> page;  ///< what the firmware stores

template <Target kind, int outputs, std::size_t fixed = 0>
struct Example {
    static constexpr MlpShape shape{
        .inputs = 3, .layers = 3, .widths = {8, 6, outputs}, .hidden = Activation::tanh, .bias = true};
    static constexpr std::array<float, shape.parameters()> parameters = [] {
        std::array<float, shape.parameters()> all{};
        std::uint32_t state = 1;
        for (float& w : all) {
            state = state * 1664525u + 1013904223u;
            w = static_cast<float>(static_cast<std::int32_t>(state)) * 0x1p-31f * 0.7f;
        }
        return all;
    }();
    static constexpr std::uint32_t checksum = crc32(std::span<const float>(parameters));
    static constexpr std::array<float, 3> centre{0.5f, 0, -1}, scale{2, 1, 0.5f};
    static constexpr Target target = kind;
    static constexpr std::size_t frozen = fixed;
};

/// The loss as it is defined, in double, of scaled inputs.
template <class E>
double loss(const std::vector<double>& w, const std::vector<std::array<float, 3>>& samples, double label) {
    const Mlp<double> network{E::shape};
    std::vector<double> outputs;
    for (const auto& sample : samples) {
        std::array<double, 3> x{};
        for (std::size_t k = 0; k < 3; ++k) x[k] = static_cast<double>((sample[k] - E::centre[k]) * E::scale[k]);
        std::vector<double> rows(static_cast<std::size_t>(E::shape.units()));
        network.forward_one(w.data(), x.data(), rows.data());
        outputs.insert(outputs.end(), rows.end() - E::shape.outputs(), rows.end());
    }
    if (E::target == Target::value) return 0.5 * (outputs[0] - label) * (outputs[0] - label);
    double total = 0;
    for (const double y : outputs) total += std::exp(y);
    return std::log(total) - outputs[static_cast<std::size_t>(label)];
}

/// One step against finite differences of the loss.
template <class E, int list>
void check_step(const std::vector<std::array<float, 3>>& samples, int label) {
    auto learner = std::make_unique<device::SampleLearner<E, 4, list>>();
    REQUIRE(learner->start(1));
    std::vector<float> numbers;
    for (const auto& sample : samples) numbers.insert(numbers.end(), sample.begin(), sample.end());
    if constexpr (E::target == Target::score)
        learner->keep(numbers, label);
    else
        learner->keep(numbers, static_cast<float>(label));
    const std::vector<double> w(E::parameters.begin(), E::parameters.end());
    CHECK(static_cast<double>(learner->learn(1.0f)) == Approx(loss<E>(w, samples, label)).epsilon(1e-5));
    for (std::size_t k = 0; k < w.size(); ++k) {
        std::vector<double> up = w, down = w;
        up[k] += 1e-5;
        down[k] -= 1e-5;
        const double slope = (loss<E>(up, samples, label) - loss<E>(down, samples, label)) / 2e-5;
        CAPTURE(k);
        REQUIRE(w[k] - static_cast<double>(learner->parameters()[k]) ==
                Approx(k < E::frozen ? 0.0 : slope).epsilon(1e-4).margin(1e-6));
    }
}

}  // namespace

extern "C" {
int dunlin_storage_read(void* to, std::uint32_t bytes) {
    if (page.size() != bytes) return 0;
    std::memcpy(to, page.data(), bytes);
    return 1;
}
int dunlin_storage_write(const void* from, std::uint32_t bytes) {
    const auto* const first = static_cast<const unsigned char*>(from);
    page.assign(first, first + bytes);
    return 1;
}
}

TEST_CASE(
    "a device's step on a sample is the gradient of its loss: classes, a number, a list, and frozen layers stay") {
    const std::vector<std::array<float, 3>> one{{0.3f, -0.8f, 0.4f}},
        four{{0.3f, -0.8f, 0.4f}, {1, 0.1f, -2}, {0, 0, 0.5f}, {-0.7f, 0.6f, 1}};
    check_step<Example<Target::classes, 4>, 1>(one, 2);
    check_step<Example<Target::value, 1>, 1>(one, 2);
    check_step<Example<Target::score, 1>, 4>(four, 1);
    check_step<Example<Target::classes, 4, 3 * 8 + 8>, 1>(one, 2);
    check_step<Example<Target::classes, 4, 3 * 8 + 8 + 8 * 6 + 6>, 1>(one, 0);
}

TEST_CASE("a device learns its own classes from few samples, keeps them across a reset, and allocates nothing") {
    using Learner = device::SampleLearner<Example<Target::classes, 3>, 24>;
    auto learner = std::make_unique<Learner>();
    page.clear();
    REQUIRE(learner->start(7));
    Stream random(3, 0, Purpose::samples);
    const auto sample = [&](int of) {
        std::array<float, 3> x{};
        for (std::size_t k = 0; k < 3; ++k)
            x[k] = 0.3f * random.normal() + (static_cast<std::size_t>(of) == k ? 1.5f : 0.0f);
        return x;
    };
    const auto accuracy = [&](Learner& of) {
        int right = 0;
        for (int k = 0; k < 300; ++k) right += of.best(sample(k % 3)) == k % 3;
        return right / 300.0;
    };
    const double before = accuracy(*learner);
    const std::size_t allocated = dunlin::test::allocations();
    for (int k = 0; k < 60; ++k) learner->keep(sample(k % 3), static_cast<float>(k % 3));
    CHECK(learner->kept() == 24);
    for (int k = 0; k < 600; ++k) learner->learn(0.1f);
    CHECK(dunlin::test::allocations() == allocated);
    CAPTURE(before);
    CHECK(before < 0.7);
    CHECK(accuracy(*learner) > 0.95);
    REQUIRE(learner->save());
    auto again = std::make_unique<Learner>();
    REQUIRE(again->start(7));
    CHECK(accuracy(*again) > 0.95);
    ++page[100];
    REQUIRE(again->start(7));
    CHECK(std::equal(again->parameters().begin(), again->parameters().end(),
                     Example<Target::classes, 3>::parameters.begin()));
    page.clear();
}

TEST_CASE("what a machine has never done surprises a model of what it does") {
    using Learner = device::SampleLearner<Example<Target::value, 1>, 40>;
    auto learner = std::make_unique<Learner>();
    page.clear();
    REQUIRE(learner->start(7));
    Stream random(5, 0, Purpose::samples);
    const auto number = [](const std::array<float, 3>& x) { return 0.4f * x[0] - 0.6f * x[1]; };
    const auto sample = [&] { return std::array<float, 3>{random.normal(), random.normal(), random.normal()}; };
    for (int k = 0; k < 400; ++k) {
        const auto x = sample();
        learner->keep(x, number(x) + 0.02f * random.normal());
        for (int step = 0; step < 10; ++step) learner->learn(0.03f);
    }
    int alarms = 0, missed = 0;
    for (int k = 0; k < 200; ++k) {
        const auto x = sample();
        alarms += learner->surprise(x, number(x)) > 5.0f;
        missed += learner->surprise(x, number(x) + 2.0f) <= 5.0f;
    }
    CHECK(alarms < 20);
    CHECK(missed < 20);
}

TEST_CASE("a device keeps no sample whose label it could not learn from") {
    constexpr float nan = std::numeric_limits<float>::quiet_NaN(),
                    infinite = std::numeric_limits<float>::infinity();
    const std::array<float, 3> x{0.3f, -0.8f, 0.4f};
    const auto of = [](auto learner, auto keep) {
        REQUIRE(learner->start(1));
        keep(*learner);
        return learner->kept();
    };
    CHECK(of(std::make_unique<device::SampleLearner<Example<Target::classes, 3>, 8>>(), [&](auto& learner) {
              for (const float label : {-1.0f, 3.0f, 1e30f, nan, infinite}) learner.keep(x, label);
              CHECK(learner.kept() == 0);
              CHECK(learner.learn(0.1f) == 0.0f);
              for (const float label : {0.0f, 2.0f}) learner.keep(x, label);
          }) == 2);
    CHECK(of(std::make_unique<device::SampleLearner<Example<Target::value, 1>, 8>>(), [&](auto& learner) {
              for (const float number : {nan, infinite, -infinite, 1e30f, -3.0f}) learner.keep(x, number);
          }) == 2);
    const std::vector<float> two{0.3f, -0.8f, 0.4f, 1, 0.1f, -2}, three{0, 0, 0, 1, 1, 1, 2, 2, 2};
    CHECK(of(std::make_unique<device::SampleLearner<Example<Target::score, 1>, 8, 2>>(), [&](auto& learner) {
              for (const int chosen : {-1, 2, 0, 1}) learner.keep(two, chosen);
              learner.keep(std::span(three), 0);
              learner.keep(std::span<const float>{}, 0);
          }) == 2);
}
