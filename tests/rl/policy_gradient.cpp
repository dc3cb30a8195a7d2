// SPDX-License-Identifier: Apache-2.0
#include "envs/grid_planning.hpp"
#include "envs/point_navigation.hpp"
#include "fixtures.hpp"
#include "rl/policy_gradient_task.hpp"

#include <array>
#include <cmath>
#include <cstring>

using namespace dunlin;
using namespace dunlin::testing;

namespace {

using Tabular = Learner<GridNavigation, CategoricalPolicy<float>>;
using Exact = Learner<GridNavigation, CategoricalPolicy<double>>;

GridTask windy_grid(GridReward reward = GridReward::sparse) {
    return grid(3, 4,
                {.goal = GridCell{2, 1},
                 .start = {},
                 .wind = 0.2f,
                 .slip = 0.1f,
                 .reward = reward,
                 .horizon = 7,
                 .discount = 0.9f});
}

template <class Scalar>
std::vector<double> difference(const std::vector<Scalar>& a, const std::vector<Scalar>& b, double scale) {
    std::vector<double> out(a.size());
    for (std::size_t k = 0; k < a.size(); ++k)
        out[k] = scale * (static_cast<double>(a[k]) - static_cast<double>(b[k]));
    return out;
}

double relative_error(const std::vector<double>& a, const std::vector<double>& b) {
    double error = 0, size = 0;
    for (std::size_t k = 0; k < a.size(); ++k) {
        error += (a[k] - b[k]) * (a[k] - b[k]);
        size += b[k] * b[k];
    }
    return std::sqrt(error / size);
}

}  // namespace

TEST_CASE("the policy gradient's mean agrees with the exact gradient by dynamic programming") {
    const GridTask map = windy_grid();
    const GridNavigation& environment = map.environment();
    for (Baseline baseline : {Baseline::none, Baseline::leave_one_out}) {
        for (Evaluation evaluation : {Evaluation::per_state, Evaluation::per_step}) {
            Tabular learner(one_hot_policy<float>(environment, {}),
                            {.trajectories = 20, .baseline = baseline, .evaluation = evaluation},
                            limits(environment));
            learner.task.set_environment(environment);
            const std::size_t d = learner.parameters.size();

            std::vector<double> policy(d);
            for (std::size_t s = 0; s < d / 5; ++s) {
                double sum = 0;
                for (std::size_t a = 0; a < 5; ++a)
                    sum += policy[5 * s + a] = std::exp(static_cast<double>(learner.parameters[5 * s + a]));
                for (std::size_t a = 0; a < 5; ++a) policy[5 * s + a] /= sum;
            }
            const std::vector<double> exact = policy_gradient(environment, policy);

            Stream random(4, 0, Purpose::rollout);
            std::vector<float> g(d);
            std::vector<double> mean(d), square(d);
            double value = 0;
            const int batches = 4000;
            for (int b = 0; b < batches; ++b) {
                learner.task.draw(0, learner.parameters, random);
                learner.task.gradient(0, learner.parameters, g);
                value -= static_cast<double>(learner.task.value(0, learner.parameters)) / batches;
                for (std::size_t k = 0; k < d; ++k) {
                    mean[k] -= static_cast<double>(g[k]) / batches;
                    square[k] += static_cast<double>(g[k]) * static_cast<double>(g[k]) / batches;
                }
            }
            // Each coordinate within 4.5 standard errors, and not by being all noise.
            double error = 0, size = 0;
            for (std::size_t k = 0; k < d; ++k) {
                const double standard_error = std::sqrt(std::max(0.0, square[k] - mean[k] * mean[k]) / batches);
                CHECK(std::abs(mean[k] - exact[k]) <= 4.5 * standard_error + 1e-6);
                error += (mean[k] - exact[k]) * (mean[k] - exact[k]);
                size += exact[k] * exact[k];
            }
            CHECK(std::sqrt(error / size) < 0.1);
            CHECK(value == Approx(evaluate_policy(environment, policy).expected_return).epsilon(0.02));
        }
    }
}

TEST_CASE("gradient and Hessian-vector product agree with finite differences of the surrogate to 1e-6") {
    const GridTask map = windy_grid(GridReward::dense);
    const GridNavigation& environment = map.environment();
    for (Baseline baseline : {Baseline::none, Baseline::leave_one_out, Baseline::linear}) {
        for (Evaluation evaluation : {Evaluation::per_state, Evaluation::per_step}) {
            for (bool one_hot : {true, false}) {
                CategoricalPolicy<double> policy = one_hot_policy<double>(environment, {6});
                if (!one_hot) policy.network.shape = *MlpShape::make(2, std::vector<int>{6}, 5);
                Exact learner(policy, {.trajectories = 5, .baseline = baseline, .evaluation = evaluation},
                              limits(environment));
                auto& task = learner.task;
                task.set_environment(environment);
                const std::vector<double> w = learner.parameters;
                std::vector<double> v(w.size()), g(w.size()), numeric(w.size()), product(w.size());
                Stream random(3, 0, Purpose::rollout), directions(8, 0, Purpose::user);
                for (double& x : v) x = directions.normal();
                task.draw(0, w, random);
                const double h = 1e-5;
                const auto moved = [&](double step) {
                    std::vector<double> at = w;
                    for (std::size_t k = 0; k < w.size(); ++k) at[k] += step * v[k];
                    return at;
                };
                task.gradient(0, w, g);
                double along = 0;
                for (std::size_t k = 0; k < w.size(); ++k) along += g[k] * v[k];
                CHECK(along ==
                      Approx((task.surrogate(0, moved(h)) - task.surrogate(0, moved(-h))) / (2 * h)).epsilon(1e-6));

                std::vector<double> up(w.size()), down(w.size());
                task.gradient(0, moved(h), up);
                task.gradient(0, moved(-h), down);
                task.hessian_vector(0, w, v, product);
                CHECK(relative_error(product, difference(up, down, 1 / (2 * h))) < 1e-6);
            }
        }
    }
}

TEST_CASE("evaluating once per state and once per step sample the same trajectories and give the same gradient") {
    const GridTask map = windy_grid();
    const GridNavigation& environment = map.environment();
    std::vector<std::vector<float>> gradients, scores;
    std::vector<std::int64_t> steps;
    for (Evaluation evaluation : {Evaluation::per_state, Evaluation::per_step}) {
        Tabular learner(one_hot_policy<float>(environment, {16, 16}),
                        {.trajectories = 30, .evaluation = evaluation}, limits(environment));
        CHECK(learner.task.evaluates_per_state() == (evaluation == Evaluation::per_state));
        learner.task.set_environment(environment);
        Stream random(9, 2, Purpose::rollout);
        std::vector<float> g(learner.parameters.size()), s = g;
        learner.task.draw(0, learner.parameters, random);
        learner.task.gradient(0, learner.parameters, g);
        learner.task.score_sum(0, learner.parameters, s);
        gradients.push_back(g);
        scores.push_back(s);
        steps.push_back(learner.task.steps());
    }
    CHECK(steps[0] == steps[1]);
    const std::vector<double> none(gradients[0].size());
    const auto to_double = [](const std::vector<float>& v) { return std::vector<double>(v.begin(), v.end()); };
    CHECK(relative_error(to_double(gradients[0]), to_double(gradients[1])) < 1e-4);
    CHECK(relative_error(to_double(scores[0]), to_double(scores[1])) < 1e-4);
}

TEST_CASE("a lean task's numbers are the same to the bit, whatever its workspace is used for in between") {
    const GridTask map = grid(5, 7,
                              {.goal = GridCell{4, 1},
                               .start = {},
                               .wind = 0.2f,
                               .slip = 0.1f,
                               .reward = GridReward::sparse,
                               .horizon = 9,
                               .discount = 0.9f});
    const GridNavigation& environment = map.environment();
    for (const bool one_hot : {false, true}) {
        const CategoricalPolicy<float> policy{
            {*MlpShape::make(one_hot ? 35 : 2, std::array{12, 8}, 5, Activation::tanh, one_hot, true),
             &generic_kernels<float>()}};
        const RolloutSettings settings{
            .trajectories = 20, .evaluation = Evaluation::per_state, .second_order = false};
        Learner<GridNavigation, CategoricalPolicy<float>> plain(policy, settings, limits(environment));
        using Task = PolicyGradientTask<GridNavigation, CategoricalPolicy<float>, true>;
        const std::size_t lent = Task::workspace_bytes(policy, settings, limits(environment));
        Memory memory(Task::bytes(policy, settings, limits(environment))), workspace(lent);
        CHECK(lent < plain.memory.bytes().size() / 2);
        Arena arena(memory.bytes());
        Task lean(policy, settings, limits(environment), arena, workspace.bytes());
        const auto scramble = [&] {
            std::fill(workspace.bytes().begin(), workspace.bytes().end(), std::byte{0xff});
        };
        plain.task.set_environment(environment);
        lean.set_environment(environment);
        Stream random(3, 0, Purpose::rollout), same = random;
        std::vector<float> w = plain.parameters, g(w.size()), h(w.size());
        for (int batch = 0; batch < 3; ++batch) {
            plain.task.draw(0, w, random);
            scramble();
            lean.draw(0, w, same);
            scramble();
            CHECK(lean.value(0, w) == plain.task.value(0, w));
            // The second time not where the batch was drawn.
            for (int step = 0; step < 2; ++step) {
                plain.task.gradient(0, w, g);
                lean.gradient(0, w, h);
                scramble();
                CHECK(std::memcmp(g.data(), h.data(), g.size() * sizeof(float)) == 0);
                for (std::size_t k = 0; k < w.size(); ++k) w[k] -= 0.5f * g[k];
            }
            CHECK(lean.surrogate(0, w) == Approx(plain.task.surrogate(0, w)));
        }
        CHECK(lean.steps() == plain.task.steps());
    }
}

TEST_CASE("the sum of scores has mean zero, and its covariance with the return is the policy gradient") {
    const GridTask map = windy_grid();
    const GridNavigation& environment = map.environment();
    Tabular learner(one_hot_policy<float>(environment, {}), {.trajectories = 4, .baseline = Baseline::none},
                    limits(environment));
    learner.task.set_environment(environment);
    const std::size_t d = learner.parameters.size();
    Stream random(4, 0, Purpose::rollout);
    std::vector<float> s(d), g(d);
    std::vector<double> mean(d), product(d), gradient(d);
    const int batches = 40000;
    for (int b = 0; b < batches; ++b) {
        learner.task.draw(0, learner.parameters, random);
        learner.task.score_sum(0, learner.parameters, s);
        learner.task.gradient(0, learner.parameters, g);
        const double value = static_cast<double>(learner.task.value(0, learner.parameters));
        for (std::size_t k = 0; k < d; ++k) {
            mean[k] += static_cast<double>(s[k]) / batches;
            product[k] += value * static_cast<double>(s[k]) / batches;
            gradient[k] += static_cast<double>(g[k]) / batches;
        }
    }
    CHECK(relative_error(product, gradient) < 0.25);
    for (double m : mean) CHECK(std::abs(m) < 0.06);
}

TEST_CASE("a Gaussian policy's gradient agrees with finite differences of its surrogate") {
    const GaussianPolicy<float> policy{Mlp<float>{*MlpShape::make(2, std::vector<int>{8}, 2)}};
    Learner<PointNavigation, GaussianPolicy<float>> learner(policy, {.trajectories = 6},
                                                            {.horizon = 10, .observations = 2});
    PointNavigation environment;
    environment.goal_x = 0.3f;
    environment.horizon_steps = 10;
    learner.task.set_environment(environment);
    std::vector<float>& w = learner.parameters;
    Stream random(2, 0, Purpose::rollout), directions(8, 0, Purpose::user);
    learner.task.draw(0, w, random);
    CHECK(learner.task.steps() == 60);
    CHECK(learner.task.value(0, w) > 0.0f);
    std::vector<float> g(w.size()), v(w.size()), product(w.size());
    for (float& x : v) x = directions.normal();
    learner.task.gradient(0, w, g);
    const auto moved = [&](float step) {
        std::vector<float> at = w;
        for (std::size_t k = 0; k < w.size(); ++k) at[k] += step * v[k];
        return at;
    };
    double along = 0;
    for (std::size_t k = 0; k < w.size(); ++k) along += static_cast<double>(g[k] * v[k]);
    const float h = 2e-3f;
    CHECK(along == Approx((learner.task.surrogate(0, moved(h)) - learner.task.surrogate(0, moved(-h))) / (2 * h))
                       .epsilon(0.01));
    std::vector<float> up(w.size()), down(w.size());
    learner.task.gradient(0, moved(h), up);
    learner.task.gradient(0, moved(-h), down);
    learner.task.hessian_vector(0, w, v, product);
    CHECK(relative_error(std::vector<double>(product.begin(), product.end()),
                         difference(up, down, 1 / (2 * static_cast<double>(h)))) < 0.01);
}
