// SPDX-License-Identifier: Apache-2.0
#include "rl/meta_learning.hpp"

#include "fixtures.hpp"
#include "rl/adaptation.hpp"

#include <cmath>
#include <set>

using namespace dunlin;
using namespace dunlin::testing;

namespace {

/// f(w) = |w - centre|^2 / 2 without noise, so that every step of every method has a closed form.
struct Bowl {
    float centre = 0;
    std::size_t dimension() const { return 2; }
    int slots() const { return 4; }
    void draw(int, ConstVector<float>, Stream& random) { random.next_epoch(); }
    float value(int, ConstVector<float> w) const {
        return ((w[0] - centre) * (w[0] - centre) + (w[1] - centre) * (w[1] - centre)) / 2;
    }
    void gradient(int, ConstVector<float> w, Vector<float> out) const {
        for (std::size_t k = 0; k < 2; ++k) out[k] = w[k] - centre;
    }
    void hessian_vector(int, ConstVector<float>, ConstVector<float> v, Vector<float> out) const {
        for (std::size_t k = 0; k < 2; ++k) out[k] = v[k];
    }
};

struct Outer {
    MetaSettings settings;
    Memory memory;
    Arena arena;
    MetaLearner<float> learner;
    std::vector<float> scratch;

    explicit Outer(const MetaSettings& s)
        : settings(s),
          memory(MetaLearner<float>::bytes(s, 2, 2)),
          arena(memory.bytes()),
          learner(s, 2, 2, arena),
          scratch(MetaLearner<float>::scratch(s, 2)) {}

    Result<void> iterate() {
        Stream random(1, 0, Purpose::rollout);
        for (int b = 0; b < 2; ++b) {
            Bowl task{b == 0 ? 1.0f : 3.0f};
            learner.learn(b, b, task, random, Vector<float>(scratch));
        }
        return learner.update(iterations++);
    }
    std::int64_t iterations = 0;
};

MetaSettings two_tasks(MetaMethod method) {
    MetaSettings settings;
    settings.method = method;
    settings.task_batch = 2;
    settings.interpolation = 0.5f;
    settings.inner = {
        .prox_weight = 0.5f, .inner_rate = 0.2f, .accuracy = 0.0f, .step_limit = 1, .fresh_batches = true};
    return settings;
}

}  // namespace

TEST_CASE("no evaluation of up to a billion iterations draws another's numbers, nor what is set apart") {
    std::set<std::uint64_t> first_draws, apart;
    const auto first = [](std::uint64_t epoch) { return adaptation_stream(3, 0, epoch).bits64(); };
    for (std::uint64_t k = 0; k < 16; ++k) apart.insert(first(set_apart_epochs + k));
    const std::int64_t iterations[] = {0,         1,         0xfffef,   0xffff0,     0xffff1,      0xfffff,
                                       1'048'576, 1'048'577, 2'097'152, 999'999'999, 1'000'000'000};
    for (const std::int64_t iteration : iterations) {
        const std::uint64_t drawn = first(evaluation_epoch(iteration));
        CHECK(apart.count(drawn) == 0);
        CHECK(first_draws.insert(drawn).second);
    }
    CHECK(evaluation_epoch(0xfffef) == 0xfffef);
}

TEST_CASE("MEMRL's outer step is (1 - alpha lambda) w + alpha lambda mean(theta) [Algorithm 1, line 8]") {
    Outer outer(two_tasks(MetaMethod::memrl));
    outer.learner.parameters()[0] = 2.5f;
    REQUIRE(outer.iterate());
    // One inner step from w: theta_i = w - 0.2 (w - c_i), since the proximal pull is zero at w.
    const float mean = 2.5f - 0.2f * (2.5f - 2.0f);
    CHECK(outer.learner.parameters()[0] == Approx(0.5f * 2.5f + 0.5f * mean));
    CHECK(outer.learner.contribution(0)[0] == Approx(2.5f - 0.2f * 1.5f));
    CHECK(outer.learner.contribution(1)[0] == Approx(2.5f + 0.2f * 0.5f));
}

TEST_CASE("every method moves the meta-parameters to where both tasks are near, and scratch does not move") {
    for (MetaMethod method : {MetaMethod::memrl, MetaMethod::reptile, MetaMethod::maml, MetaMethod::fomaml,
                              MetaMethod::anil, MetaMethod::meta_sgd, MetaMethod::imaml}) {
        MetaSettings settings = two_tasks(method);
        settings.outer.rate = 0.05f;
        settings.maml.score_term = false;
        Outer outer(settings);
        for (int k = 0; k < 400; ++k) REQUIRE(outer.iterate());
        CHECK(outer.learner.parameters()[0] == Approx(2.0f).margin(0.05));
    }
    Outer scratch(two_tasks(MetaMethod::scratch));
    REQUIRE(scratch.iterate());
    CHECK(scratch.learner.parameters()[0] == 0.0f);
}

TEST_CASE("outer steps follow the mean of w - theta as gradient descent, momentum and Adam do") {
    // One inner step of Reptile: w - theta_b = 0.2 (w - c_b), with mean 0.2 (w - 2).
    const auto after = [](OuterStep step, int iterations, float decay = 0.0f) {
        MetaSettings settings = two_tasks(MetaMethod::reptile);
        settings.outer_step = step;
        settings.outer_decay = decay;
        settings.outer.rate = 0.5f;
        Outer outer(settings);
        for (int k = 0; k < iterations; ++k) REQUIRE(outer.iterate());
        return outer.learner.parameters()[0];
    };
    // Interpolation by a half is a step of gradient descent at the rate of a half.
    CHECK(after(OuterStep::sgd, 3) == Approx(after(OuterStep::own, 3)));
    CHECK(after(OuterStep::sgd, 1) == Approx(0.2f));
    CHECK(after(OuterStep::sgd, 2) == Approx(0.2f + 0.1f * 1.8f));
    // m_1 = -0.4, w_1 = 0.2; m_2 = 0.9 m_1 - 0.2 * 1.8 = -0.72, w_2 = 0.2 + 0.36
    CHECK(after(OuterStep::momentum, 2) == Approx(0.56f));
    // Adam's first step is as long as its rate, whatever the gradient.
    CHECK(after(OuterStep::adam, 1) == Approx(0.5f).epsilon(1e-4));
    // Step t is 1 / (1 + c t) as long: with c = 1 the second is half of what it was.
    CHECK(after(OuterStep::sgd, 2, 1.0f) == Approx(0.2f + 0.05f * 1.8f));
    CHECK(after(OuterStep::own, 2, 1.0f) == Approx(0.2f + 0.05f * 1.8f));
}

TEST_CASE("Meta-SGD learns larger steps where they help, and its sizes move by the outer step") {
    MetaSettings settings = two_tasks(MetaMethod::meta_sgd);
    settings.maml = {.steps = 1, .inner_rate = 0.2f, .step_clip = 0.0f};
    settings.outer_step = OuterStep::sgd;
    settings.outer.rate = 0.1f;
    Outer outer(settings);
    REQUIRE(outer.learner.learned().size() == 4);
    for (const float size : outer.learner.step_sizes()) CHECK(size == 1.0f);
    REQUIRE(outer.iterate());
    // F_b(w, s) = (1 - 0.2 s)^2 (w - c_b)^2 / 2 in each coordinate: by s, - 0.2 (1 - 0.2 s) (w - c_b)^2.
    const float by_size = -0.2f * 0.8f * (1.0f + 9.0f) / 2;
    CHECK(outer.learner.step_sizes()[0] == Approx(1.0f - 0.1f * by_size));
    CHECK(outer.learner.parameters()[0] == Approx(0.1f * 0.8f * 0.8f * 2.0f));
    for (int k = 0; k < 2000; ++k) REQUIRE(outer.iterate());
    CHECK(outer.learner.step_sizes()[1] == Approx(5.0f).epsilon(0.05));  // one step reaches the bottom
}

TEST_CASE("sizes of 0 hold a parameter through inner steps, as ANIL's body is") {
    Outer outer(two_tasks(MetaMethod::anil));
    outer.learner.step_sizes()[0] = 0.0f;
    Bowl task{1.0f};
    std::vector<float> w{3.0f, 3.0f}, theta(2), scratch(2);
    const InnerSteps<float> steps(outer.settings.adaptation(), outer.learner.step_sizes());
    theta = w;
    steps.step(task, ConstVector<float>(w), Vector<float>(theta), Vector<float>(scratch));
    CHECK(theta[0] == 3.0f);
    CHECK(theta[1] == Approx(3.0f - 0.7f * 2.0f * (0.5f / (0.7f * 2.0f))));  // clipped at 0.5
    CHECK(outer.learner.learned().size() == 2);
}

TEST_CASE("implicit MAML pulls by a weight of its own, in training and adaptation") {
    MetaSettings settings = two_tasks(MetaMethod::imaml);
    settings.implicit_weight = 0.7f;
    CHECK(settings.adaptation().prox_weight == 0.7f);
    CHECK(settings.training().prox_weight == 0.7f);
    CHECK(settings.slots() == 2);
    CHECK(settings.is_second_order());
    settings.conjugate_steps = 0;
    CHECK_FALSE(settings.is_second_order());
}

TEST_CASE(
    "the MAMLs adapt as the others do unless they are told otherwise, and a trained policy as long as asked") {
    MetaSettings settings = two_tasks(MetaMethod::fomaml);
    settings.inner.step_limit = 5;
    settings.inner.step_clip = 0.3f;
    settings.maml = {.steps = 0, .inner_rate = 0.0f, .step_clip = -1.0f};
    CHECK(settings.exact_or_first_order().steps == 5);
    CHECK(settings.adaptation().step_limit == 5);
    CHECK(settings.adaptation().inner_rate == 0.2f);
    CHECK(settings.adaptation().step_clip == 0.3f);
    CHECK(settings.slots() == 6);
    settings.adaptation_steps = 2;
    CHECK(settings.adaptation().step_limit == 2);
    CHECK(settings.training().step_limit == 2);  // a MAML's objective is the loss after them
    settings.method = MetaMethod::reptile;
    CHECK(settings.training().step_limit == 5);
    CHECK(settings.adaptation().step_limit == 2);
    settings.method = MetaMethod::fomaml;
    settings.maml = {.steps = 1, .inner_rate = 0.7f, .step_clip = 0.0f};
    CHECK(settings.training().step_limit == 1);
    CHECK(settings.training().inner_rate == 0.7f);
    CHECK(settings.training().step_clip == 0.0f);
    // No MAML goes deeper than memory is set apart for; adaptation does.
    settings.maml.steps = 0;
    settings.adaptation_steps = 0;
    settings.inner.step_limit = 40;
    CHECK(settings.training().step_limit == Maml::step_limit);
    CHECK(settings.adaptation().step_limit == 40);
}

TEST_CASE("a NaN is refused with its place and leaves the meta-parameters as they were") {
    Outer outer(two_tasks(MetaMethod::memrl));
    outer.learner.contribution(0)[1] = std::nanf("");
    CHECK(outer.learner.update().error() == Error{Code::not_finite, 1, 0});
    CHECK(outer.learner.parameters()[0] == 0.0f);
    CHECK(outer.learner.parameters()[1] == 0.0f);
}

TEST_CASE("a gradient too large to square is refused before it reaches Adam's moments") {
    Outer outer(two_tasks(MetaMethod::fomaml));
    outer.learner.contribution(1)[0] = 1e30f;
    CHECK(outer.learner.update().error() == Error{Code::not_finite, 0, 0});
    CHECK(outer.learner.moments().square[0] == 0.0f);
    CHECK(outer.learner.parameters()[0] == 0.0f);
}
