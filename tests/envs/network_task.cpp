// SPDX-License-Identifier: Apache-2.0
#include "allocations.hpp"
#include "envs/episodes.hpp"
#include "task_checks.hpp"

#include <numeric>

using namespace dunlin;

namespace {

constexpr Extent picture{6, 6, 1};
const std::vector<LayerSpec> convolutional{{.kind = LayerKind::convolution,
                                            .activation = Activation::tanh,
                                            .outputs = 3,
                                            .kernel_height = 3,
                                            .kernel_width = 3},
                                           {.kind = LayerKind::dropout, .rate = 0.3f},
                                           {.kind = LayerKind::global_pool},
                                           {.kind = LayerKind::dense, .outputs = 4}};
const std::vector<LayerSpec> recurrent{{.kind = LayerKind::embedding, .outputs = 3},
                                       {.kind = LayerKind::lstm, .outputs = 4},
                                       {.kind = LayerKind::dense, .outputs = 5}};

NetworkShape shape_of(Extent input, bool tokens, const std::vector<LayerSpec>& layers) {
    return *NetworkShape::make(input, tokens, layers);
}

/// Rows of random numbers, or of tokens, with random labels.
struct Rows {
    std::vector<float> values;
    std::vector<std::uint8_t> labels;
    std::vector<std::uint32_t> all;
    int features;

    Rows(int count, const NetworkShape& shape) : features(NetworkDerivatives<float>::inputs(shape)) {
        Stream random(2, 0, Purpose::user);
        for (int k = 0; k < count * features; ++k)
            values.push_back(
                shape.tokens ? static_cast<float>(random.below(static_cast<std::uint32_t>(shape.input.channels)))
                             : random.normal());
        for (int k = 0; k < count; ++k)
            labels.push_back(static_cast<std::uint8_t>(random.below(static_cast<std::uint32_t>(shape.outputs()))));
        all.resize(static_cast<std::size_t>(count));
        std::iota(all.begin(), all.end(), 0u);
    }
    LabelledRows view() const { return {values.data(), labels.data(), features, all}; }
};

template <class S>
using NetworkTask = Classification<S, NetworkDerivatives<S>>;

template <class S>
struct Made {
    TestMemory memory;
    NetworkTask<S> task;

    Made(const NetworkShape& shape, int batch, int slots, const Kernels<S>& kernels = generic_kernels<S>())
        : memory(NetworkTask<S>::bytes(shape, batch, slots)),
          task(*NetworkTask<S>::make(shape, kernels, batch, slots, memory.arena)) {}
};

template <class S = double>
std::vector<S> random_vector(std::size_t size, double scale, std::uint32_t node) {
    Stream random(8, node, Purpose::user);
    std::vector<S> v(size);
    for (S& x : v) x = static_cast<S>(scale * static_cast<double>(random.normal()));
    return v;
}

/// Twelve classes of eight pictures; every pixel of picture p of class c says 100 c + p.
struct Alphabet {
    std::vector<float> values;
    std::vector<std::uint32_t> rows, first{0};

    Alphabet() {
        for (std::uint32_t c = 0; c < 12; ++c) {
            for (std::uint32_t p = 0; p < 8; ++p) {
                rows.push_back(static_cast<std::uint32_t>(rows.size()));
                for (int k = 0; k < picture.size(); ++k)
                    values.push_back(std::sin(static_cast<float>(100 * c + p)) + 0.1f * static_cast<float>(k));
            }
            first.push_back(static_cast<std::uint32_t>(rows.size()));
        }
    }
    EpisodeView view() const { return {values.data(), picture.size(), picture.width, rows, first}; }
};

using Episodes = EpisodeClassification<double, NetworkDerivatives<double>>;
constexpr EpisodeSettings four_ways{.ways = 4, .shots = 2, .queries = 3};

}  // namespace

static_assert(Task<NetworkTask<float>> && Task<Episodes, double>);

TEST_CASE("classification by a convolutional and by a recurrent network agrees with finite differences to 1e-6") {
    for (const NetworkShape& shape :
         {shape_of(picture, false, convolutional), shape_of({1, 5, 7}, true, recurrent)}) {
        const Rows rows(30, shape);
        Made<double> made(shape, 9, 2);
        made.task.node = rows.view();
        const auto w = random_vector(shape.parameters(), 0.5, 1), v = random_vector(shape.parameters(), 1.0, 2);
        Stream random(1, 0, Purpose::samples);
        made.task.draw(1, w, random);
        made.task.draw(0, w, random);
        check_derivatives(made.task, 0, w, v);
        check_derivatives(made.task, 1, w, v);
        CHECK(made.task.value(0, w) != made.task.value(1, w));
    }
}

TEST_CASE("a network of dense layers gives classification the perceptron's bits") {
    const MlpShape mlp = *MlpShape::make(36, std::vector<int>{12, 10}, 4, Activation::relu);
    const NetworkShape shape = shape_of({1, 1, 36}, false,
                                        {{.kind = LayerKind::dense, .activation = Activation::relu, .outputs = 12},
                                         {.kind = LayerKind::dense, .activation = Activation::relu, .outputs = 10},
                                         {.kind = LayerKind::dense, .outputs = 4}});
    const Rows rows(40, shape);
    const auto w = random_vector<float>(shape.parameters(), 0.5, 1), v = random_vector<float>(w.size(), 1.0, 2);
    for (const Kernels<float>* const* set = available_kernels(); *set != nullptr; ++set) {
        Made<float> made(shape, 12, 1, **set);
        TestMemory memory(Classification<float>::bytes(mlp, 12, 1));
        auto plain = *Classification<float>::make(mlp, **set, 12, 1, memory.arena);
        std::vector<float> g[2], h[2];
        const auto take = [&](auto& task, int k) {
            task.node = rows.view();
            Stream random(1, 0, Purpose::samples);
            task.draw(0, w, random);
            g[k].resize(w.size());
            h[k].resize(w.size());
            task.gradient(0, w, g[k]);
            task.hessian_vector(0, w, v, h[k]);
        };
        take(made.task, 0);
        take(plain, 1);
        CHECK(g[0] == g[1]);
        CHECK(h[0] == h[1]);
    }
}

TEST_CASE("dropout is drawn with a batch, the same at every call, and leaves nothing out of an evaluation") {
    const NetworkShape shape = shape_of(picture, false, convolutional);
    const Rows rows(8, shape);
    Made<double> made(shape, 8, 1);
    made.task.node = rows.view();
    const auto w = random_vector(shape.parameters(), 0.5, 1);
    Stream random(1, 0, Purpose::samples);
    made.task.draw(0, w, random);
    const double value = made.task.value(0, w), whole = made.task.evaluate(rows.view(), w).loss();
    CHECK(made.task.value(0, w) == value);
    CHECK(std::abs(value - whole) > 1e-4);
    made.task.draw(0, w, random);
    CHECK(made.task.value(0, w) != value);
    CHECK(made.task.evaluate(rows.view(), w).loss() == whole);
}

TEST_CASE("after set-up, learning with networks and in episodes allocates nothing") {
    const NetworkShape shape = shape_of(picture, false, convolutional),
                       spoken = shape_of({1, 5, 7}, true, recurrent);
    const Alphabet alphabet;
    const Rows rows(30, shape), said(30, spoken);
    Made<double> made(shape, 9, 2), speaks(spoken, 9, 2);
    made.task.node = rows.view();
    speaks.task.node = said.view();
    TestMemory memory(Episodes::bytes(shape, four_ways, 2));
    Episodes episodes = *Episodes::make(shape, generic_kernels<double>(), four_ways, 2, memory.arena);
    episodes.from = alphabet.view();
    Stream random(1, 0, Purpose::samples);
    const auto learn = [&](auto& task, const NetworkShape& of, std::vector<double>& w, std::vector<double>& out) {
        REQUIRE(w.size() == of.parameters());
        for (int slot = 0; slot < 2; ++slot) task.draw(slot, w, random);
        task.gradient(0, w, out);
        task.hessian_vector(1, w, w, out);
    };
    auto w = random_vector(shape.parameters(), 0.5, 1), x = random_vector(spoken.parameters(), 0.5, 1);
    std::vector<double> out(w.size()), other(x.size());
    const std::size_t before = dunlin::test::allocations();
    learn(made.task, shape, w, out);
    learn(speaks.task, spoken, x, other);
    learn(episodes, shape, w, out);
    (void)episodes.judge(w, 2, 0.1, random);
    CHECK(dunlin::test::allocations() == before);
}

TEST_CASE("an episode's classes are named anew, and its queries are other pictures of what it learns from") {
    const NetworkShape shape = shape_of(picture, false, convolutional);
    const Alphabet alphabet;
    TestMemory memory(Episodes::bytes(shape, four_ways, 3));
    Episodes task = *Episodes::make(shape, generic_kernels<double>(), four_ways, 3, memory.arena);
    task.from = alphabet.view();
    const auto w = random_vector(shape.parameters(), 0.5, 1), v = random_vector(shape.parameters(), 1.0, 2);
    Stream random(1, 0, Purpose::samples);
    for (int slot = 0; slot < 3; ++slot) task.draw(slot, w, random);
    for (int slot = 0; slot < 3; ++slot) check_derivatives(task, slot, w, v);
    // What it learns from is the same in every inner step; only dropout is drawn again.
    CHECK(task.value(0, w) == Approx(task.value(1, w)).margin(0.5));
    CHECK(task.value(0, w) != task.value(2, w));
    // A stream that is replayed draws the same episode.
    Stream again(1, 0, Purpose::samples);
    const double value = task.value(2, w);
    for (int slot = 0; slot < 3; ++slot) task.draw(slot, w, again);
    CHECK(task.value(2, w) == value);
}

TEST_CASE("steps on an episode's few pictures tell its classes apart") {
    // Classes that a linear model tells apart by their mean, once it has seen two pictures of each.
    std::vector<float> values;
    std::vector<std::uint32_t> rows, first{0};
    Stream random(4, 0, Purpose::user);
    for (std::uint32_t c = 0; c < 10; ++c) {
        float centre[36];
        for (float& x : centre) x = random.normal();
        for (int p = 0; p < 6; ++p) {
            rows.push_back(static_cast<std::uint32_t>(rows.size()));
            for (const float x : centre) values.push_back(x + 0.1f * random.normal());
        }
        first.push_back(static_cast<std::uint32_t>(rows.size()));
    }
    const NetworkShape shape = shape_of({1, 1, 36}, false, {{.kind = LayerKind::dense, .outputs = 4}});
    TestMemory memory(Episodes::bytes(shape, four_ways, 1));
    Episodes task = *Episodes::make(shape, generic_kernels<double>(), four_ways, 1, memory.arena);
    task.from = {values.data(), 36, 6, rows, first};
    const std::vector<double> w(shape.parameters());
    std::int64_t untrained = 0, adapted = 0, asked = 0;
    for (int k = 0; k < 50; ++k) {
        Stream same = random;
        untrained += task.judge(w, 0, 0.1, same).correct;
        const ClassificationScore score = task.judge(w, 20, 0.1, random);
        adapted += score.correct;
        asked += score.rows;
    }
    CHECK(asked == 50 * 4 * 3);
    CHECK(untrained == asked / 4);  // all logits are 0, so the first class is guessed
    CHECK(adapted > asked * 95 / 100);
}

TEST_CASE("episodes refuse ways that are not the network's outputs, and too many pictures") {
    const NetworkShape shape = shape_of(picture, false, convolutional);
    TestMemory memory(1 << 20);
    const auto error = [&](EpisodeSettings s) {
        return Episodes::make(shape, generic_kernels<double>(), s, 1, memory.arena).error().code;
    };
    CHECK(error({.ways = 5}) == Code::out_of_range);
    CHECK(error({.ways = 4, .shots = 0}) == Code::out_of_range);
    CHECK(error({.ways = 4, .shots = 200, .queries = 100}) == Code::out_of_range);
}

TEST_CASE("a network that classifies every step has the derivatives of the mean over the steps that are labelled") {
    const std::vector<LayerSpec> layers{
        {.kind = LayerKind::embedding, .outputs = 3},
        {.kind = LayerKind::lstm, .outputs = 4, .every_step = true},
        {.kind = LayerKind::convolution, .outputs = 5, .kernel_height = 1, .kernel_width = 1}};
    const NetworkShape shape = shape_of({1, 6, 5}, true, layers);
    REQUIRE(shape.outputs() == 6 * 5);
    Rows rows(7, shape);
    Stream random(3, 0, Purpose::user);
    rows.labels.clear();
    for (int k = 0; k < 7 * 6; ++k)
        rows.labels.push_back(k % 5 == 1 ? LabelledRows::unlabelled : static_cast<std::uint8_t>(random.below(5)));
    LabelledRows view = rows.view();
    view.places = 6;

    TestMemory memory(NetworkTask<double>::bytes(shape, 4, 1));
    auto task = *NetworkTask<double>::make(shape, generic_kernels<double>(), 4, 1, memory.arena, 6);
    task.node = view;
    const auto w = random_vector(shape.parameters(), 0.5, 1);
    task.draw(0, w, random);
    check_derivatives(task, 0, w, random_vector(shape.parameters(), 1.0, 2));

    // With output weights of zero every class is as likely, and the first of equals is taken.
    std::vector<double> even(w);
    std::fill(even.end() - 5 * (4 + 1), even.end(), 0.0);
    const ClassificationScore score = task.evaluate(view, even);
    CHECK(score.rows == std::ranges::count_if(rows.labels, [](int label) { return label != 255; }));
    CHECK(score.correct == std::ranges::count(rows.labels, 0));
    CHECK(score.loss() == Approx(std::log(5.0)));
    CHECK(NetworkTask<double>::make(shape, generic_kernels<double>(), 4, 1, memory.arena, 7).error().code ==
          Code::shape_mismatch);
}
