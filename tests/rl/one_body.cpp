// SPDX-License-Identifier: Apache-2.0
// Learning with one body, step by step, against the batch estimator and against finite differences.
#include "rl/one_body.hpp"

#include "allocations.hpp"
#include "core/adapt/moreau_envelope.hpp"
#include "fixtures.hpp"

#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::testing;

namespace {

/// A walk along a line of fifteen places, without chance: whoever falls off an end has ended. Seen as four numbers,
/// and countable, so that a table learns it too.
struct Line {
    using State = std::int32_t;
    struct Step {
        float reward;
        bool ended;
    };
    int horizon() const { return 16; }
    float discount() const { return 0.9f; }
    State reset(Stream&) const { return 6; }
    int observation_size() const { return 4; }
    void observe(const State& state, float* out, std::ptrdiff_t stride) const {
        const float x = static_cast<float>(state) / 7.0f - 1.0f;
        for (int k = 0; k < 4; ++k) out[k * stride] = k == 0 ? 1.0f : out[(k - 1) * stride] * x;
    }
    int action_count() const { return 3; }
    Step step(State& state, int action, Stream&) const {
        state += 2 * (action - 1);
        const bool fell = state < 0 || state > 14;
        state = std::clamp(state, 0, 14);
        return {state > 8 ? 1.0f : -0.25f * static_cast<float>(action), fell};
    }
    int state_count() const { return 15; }
    std::int32_t index(const State& state) const { return state; }
    State state(std::int32_t index) const { return index; }
};

/// A number that is to be pushed to 1, by two numbers.
struct Push {
    using State = float;
    using Step = Line::Step;
    int horizon() const { return 9; }
    float discount() const { return 0.95f; }
    State reset(Stream&) const { return -0.5f; }
    int observation_size() const { return 2; }
    void observe(const State& state, float* out, std::ptrdiff_t stride) const {
        out[0] = state;
        out[stride] = state * state;
    }
    int action_size() const { return 2; }
    Step step(State& state, const float* action, std::ptrdiff_t stride, Stream&) const {
        state += 0.2f * action[0] - 0.1f * action[stride];
        return {-(state - 1.0f) * (state - 1.0f), state > 2.0f};
    }
};

MoreauEnvelope inner_step() {
    return {.prox_weight = 0.03f, .inner_rate = 0.4f, .accuracy = 0.0f, .step_limit = 1, .step_clip = 0.3f};
}

template <class Policy>
struct Body {
    using S = typename Policy::Scalar;
    Memory memory;
    Arena arena;
    std::vector<S> parameters, anchor, gradient;
    OneBody<Policy> learner;

    Body(const Policy& policy, const OneBodySettings& settings, std::vector<S> first, const Stream& random)
        : memory(OneBody<Policy>::bytes(policy, settings)),
          arena(memory.bytes()),
          parameters(first),
          anchor(std::move(first)),
          gradient(policy.parameters()),
          learner(policy, settings, parameters, anchor, gradient, random, arena) {}

    /// Lives until an update is due.
    template <class E>
    void live(const E& environment) {
        const auto outputs = static_cast<std::size_t>(environment.observation_size());
        std::vector<float> seen(outputs);
        Stream none;
        while (!learner.due()) {
            auto state = environment.reset(none);
            for (bool ended = false; !ended && !learner.due();) {
                environment.observe(state, seen.data(), 1);
                typename E::Step step{};
                if constexpr (Policy::continuous) {
                    std::vector<float> action(static_cast<std::size_t>(environment.action_size()));
                    learner.act(std::span<const float>(seen), std::span<float>(action));
                    step = environment.step(state, action.data(), 1, none);
                } else {
                    step = environment.step(state, learner.act(std::span<const float>(seen)), none);
                }
                ended = step.ended || ++lived_ == environment.horizon();
                learner.reward(step.reward, step.ended);
            }
            lived_ = 0;
        }
    }
    int lived_ = 0;
};

template <class E, class Policy>
void compare_with_batches(const Policy& policy, const E& environment, int trajectories, std::uint32_t slice,
                          double tolerance) {
    CAPTURE(trajectories, slice);
    const MoreauEnvelope inner = inner_step();
    Learner<E, Policy> batch(
        policy,
        {.trajectories = trajectories, .evaluation = Evaluation::per_step, .second_order = false, .as_drawn = true},
        {.horizon = environment.horizon(), .observations = environment.observation_size()});
    batch.task.set_environment(environment);
    const std::vector<float> first = batch.parameters;
    const Stream random(5, 0, Purpose::rollout);
    Body<Policy> body(policy,
                      {.trajectories = trajectories,
                       .horizon = environment.horizon(),
                       .discount = environment.discount(),
                       .inner = inner},
                      first, random);
    Stream drawn = random;
    std::vector<float> scratch(first.size());
    for (int update = 0; update < 4; ++update) {
        batch.task.draw(0, ConstVector<float>(batch.parameters), drawn);
        inner.step<float>(batch.task, ConstVector<float>(first), Vector<float>(batch.parameters),
                          Vector<float>(scratch));
        body.live(environment);
        while (!body.learner.update(slice)) {
        }
        CHECK(body.learner.mean_return() == Approx(-batch.task.value(0, {})).epsilon(tolerance));
        for (std::size_t k = 0; k < first.size(); ++k) {
            if (tolerance == 0.0) {
                REQUIRE(body.gradient[k] == scratch[k]);
                REQUIRE(body.parameters[k] == batch.parameters[k]);
            } else {
                REQUIRE(body.parameters[k] == Approx(batch.parameters[k]).margin(tolerance));
            }
        }
    }
    CHECK(body.learner.updates() == 4);
    CHECK(body.parameters != first);
}

CategoricalPolicy<float> walker(Activation activation, bool bias = true) {
    return {
        Mlp<float>{*MlpShape::make(4, std::vector<int>{32, 32}, 3, activation, false, bias), &reference_kernels}};
}

}  // namespace

TEST_CASE(
    "lives that were lived one after the other give the batch's gradient, to the bit, in slices of any size") {
    for (const int trajectories : {1, 5}) {
        for (const std::uint32_t slice : {1u, 333u, 1000000u}) {
            compare_with_batches(walker(Activation::tanh), Line{}, trajectories, slice, 0.0);
            compare_with_batches(walker(Activation::relu, false), Line{}, trajectories, slice, 0.0);
        }
    }
}

TEST_CASE("numbers as actions give the batch's gradient, of one life to the bit and of several to rounding") {
    const GaussianPolicy<float> policy{
        Mlp<float>{*MlpShape::make(2, std::vector<int>{8}, 2, Activation::tanh), &reference_kernels}};
    compare_with_batches(policy, Push{}, 1, 50, 0.0);
    compare_with_batches(policy, Push{}, 6, 50, 2e-6);
}

TEST_CASE("a table and a one-hot policy learn from the number of a state as a batch of them does") {
    for (const std::vector<int>& hidden : {std::vector<int>{}, std::vector<int>{7}}) {
        const CategoricalPolicy<float> policy{Mlp<float>{
            *MlpShape::make(15, hidden, 3, Activation::tanh, true, !hidden.empty()), &reference_kernels}};
        Learner<Line, CategoricalPolicy<float>> batch(
            policy,
            {.trajectories = 4, .evaluation = Evaluation::per_step, .second_order = false, .as_drawn = true},
            {.horizon = 16, .observations = 4, .states = 15});
        batch.task.set_environment(Line{});
        Stream random(9, 0, Purpose::rollout);
        Body<CategoricalPolicy<float>> body(policy,
                                            {.trajectories = 4,
                                             .horizon = 16,
                                             .discount = 0.9f,
                                             .inner = {.prox_weight = 0.0f, .inner_rate = 1.0f}},
                                            batch.parameters, random);
        Stream none;
        while (!body.learner.due()) {
            std::int32_t state = Line{}.reset(none);
            for (bool over = false; !over;) {
                const Line::Step step = Line{}.step(state, body.learner.act(state), none);
                const std::uint32_t before = body.learner.updates();
                body.learner.reward(step.reward, step.ended);
                over = step.ended || body.learner.due() || ++body.lived_ == 16 || before != body.learner.updates();
            }
            body.lived_ = 0;
        }
        body.learner.update(std::numeric_limits<std::uint32_t>::max());
        batch.task.draw(0, ConstVector<float>(batch.parameters), random);
        std::vector<float> gradient(batch.parameters.size());
        batch.task.gradient(0, ConstVector<float>(batch.parameters), Vector<float>(gradient));
        CHECK(body.gradient == gradient);
    }
}

TEST_CASE("the gradient of one body is the derivative of what its actions weigh") {
    const CategoricalPolicy<double> policy{
        Mlp<double>{*MlpShape::make(3, std::vector<int>{6, 5}, 4, Activation::tanh)}};
    Stream noise(2, 0, Purpose::initialise);
    std::vector<double> first(policy.parameters());
    for (double& w : first) w = 0.5 * static_cast<double>(noise.normal());
    const OneBodySettings settings{.trajectories = 3,
                                   .horizon = 4,
                                   .discount = 0.8f,
                                   .leave_one_out = false,
                                   .inner = {.prox_weight = 0.0f, .inner_rate = 0.0f}};
    Body<CategoricalPolicy<double>> body(policy, settings, first, noise);

    // What happened: lives of 4, 2 and 3 steps.
    struct Step {
        std::array<double, 3> seen;
        int action;
        double weight;
    };
    std::vector<Step> lived;
    for (const int length : {4, 2, 3}) {
        std::vector<double> rewards;
        for (int h = 0; h < length; ++h) {
            Step step{};
            for (double& x : step.seen) x = static_cast<double>(noise.normal());
            step.action = body.learner.act(std::span<const double>(step.seen));
            rewards.push_back(static_cast<double>(noise.normal()));
            body.learner.reward(rewards.back(), h + 1 == length);
            lived.push_back(step);
        }
        double to_go = 0;
        for (int h = length - 1; h >= 0; --h) {
            to_go += std::pow(static_cast<double>(0.8f), h) * rewards[static_cast<std::size_t>(h)];
            lived[lived.size() - static_cast<std::size_t>(length - h)].weight = -to_go / 3;
        }
    }
    REQUIRE(body.learner.due());
    REQUIRE(body.learner.update(1000000));
    const auto surrogate = [&](const std::vector<double>& w) {
        std::vector<double> rows(static_cast<std::size_t>(policy.network.shape.units()));
        double sum = 0;
        for (const Step& step : lived) {
            policy.network.forward_one(w.data(), step.seen.data(), rows.data());
            const double* out = rows.data() + rows.size() - 4;
            double total = 0;
            for (int a = 0; a < 4; ++a) total += std::exp(out[a]);
            sum += step.weight * (out[step.action] - std::log(total));
        }
        return sum;
    };
    for (std::size_t k = 0; k < first.size(); ++k) {
        std::vector<double> up = first, down = first;
        up[k] += 1e-5;
        down[k] -= 1e-5;
        CAPTURE(k);
        REQUIRE(body.gradient[k] == Approx((surrogate(up) - surrogate(down)) / 2e-5).epsilon(1e-6).margin(1e-9));
    }
}

TEST_CASE("a body learns a task step by step, in small slices and without allocating, and acts meanwhile") {
    const CategoricalPolicy<float> policy = walker(Activation::tanh);
    Stream random(3, 0, Purpose::initialise);
    std::vector<float> first(policy.parameters());
    initialise(policy.network.shape, random, first, 0.1f);
    Body<CategoricalPolicy<float>> body(policy,
                                        {.trajectories = 4,
                                         .horizon = 16,
                                         .discount = 0.9f,
                                         .inner = {.prox_weight = 0.0f, .inner_rate = 0.5f, .step_clip = 0.5f}},
                                        first, random);
    const std::uint32_t slice =
        OneBody<CategoricalPolicy<float>>::least_slice(policy, {.trajectories = 4, .horizon = 16});
    CHECK(slice < 1700);
    Line line;
    Stream none;
    std::array<float, 4> seen{};
    float early = 0, late = 0;
    int slices = 0, lives = 0;
    const std::size_t before = dunlin::test::allocations();
    for (std::uint32_t update = 0; update < 150;) {
        std::int32_t state = line.reset(none);
        ++lives;
        for (int h = 0; h < line.horizon(); ++h) {
            line.observe(state, seen.data(), 1);
            const Line::Step step = line.step(state, body.learner.act(std::span<const float>(seen)), none);
            body.learner.reward(step.reward, step.ended);
            // A little of the update between two steps of the body.
            for (int k = 0; k < 10 && body.learner.due(); ++k, ++slices) body.learner.update(slice);
            if (body.learner.updates() != update) {
                update = body.learner.updates();
                if (update <= 10) early += body.learner.mean_return();
                if (update > 140) late += body.learner.mean_return();
            }
            if (step.ended) break;
        }
    }
    CHECK(dunlin::test::allocations() == before);
    CHECK(lives > 4 * 150);  // some lives went by while an update was under way
    CHECK(slices > 150 * 50);
    CAPTURE(early / 10, late / 10);
    CHECK(early / 10 < 3.5f);
    CHECK(late / 10 > 6.0f);
}
