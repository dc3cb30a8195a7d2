// SPDX-License-Identifier: Apache-2.0
#include "rl/actor_critic.hpp"

#include "envs/point_navigation.hpp"
#include "fixtures.hpp"
#include "rl/advantage.hpp"
#include "rl/meta_learning.hpp"

#include <algorithm>
#include <cmath>

using namespace dunlin;
using namespace dunlin::testing;

namespace {

using Both = ActorCritic<CategoricalPolicy<double>>;
using Single = ActorCritic<CategoricalPolicy<float>>;
using Plane = ActorCritic<GaussianPolicy<float>>;

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

template <class S>
ActorCritic<CategoricalPolicy<S>> with_critic(const GridNavigation& environment, bool one_hot) {
    ActorCritic<CategoricalPolicy<S>> policy;
    const int inputs = one_hot ? environment.state_count() : environment.observation_size();
    const std::vector<int> hidden{6}, values{5, 4};
    policy.network.shape = *MlpShape::make(inputs, hidden, environment.action_count(), Activation::tanh, one_hot);
    policy.critic.shape = *MlpShape::make(inputs, values, 1, Activation::tanh, one_hot);
    return policy;
}

RolloutSettings valued(int trajectories) {
    RolloutSettings settings;
    settings.trajectories = trajectories;
    settings.baseline = Baseline::value;
    settings.value.weight = 0.7f;
    return settings;
}

/// What a critic says of each column of a task's batch.
template <class T>
double value_of(const T& task, const std::vector<double>& w, int state) {
    const auto& critic = task.policy().critic;
    std::vector<double> tape(static_cast<std::size_t>(critic.shape.units() * column_multiple));
    std::vector<std::int32_t> index(column_multiple, state);
    const Columns<double> matrix{tape.data(), column_multiple};
    critic.forward(w.data() + task.policy().policy_parameters(), {{}, index.data()}, matrix, column_multiple);
    return critic.output(matrix).row(0)[0];
}

std::vector<double> moved(const std::vector<double>& w, const std::vector<double>& v, double by) {
    std::vector<double> at = w;
    for (std::size_t k = 0; k < w.size(); ++k) at[k] += by * v[k];
    return at;
}

/// A policy of these widths without a critic.
Both alone(const GridNavigation& environment) {
    return {one_hot_policy<double>(environment, {6}), {}};
}

double inner(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
    return sum;
}

}  // namespace

TEST_CASE("generalised advantages are the sums of their definition, and tell an end from a cut") {
    Memory memory(4096);
    Arena arena(memory.bytes());
    Rollout<double> rollout(2, 3, arena);
    // Trajectory 0 ends after two steps, trajectory 1 is cut after three.
    const double rewards[2][3] = {{1.0, 2.0, 0.0}, {-1.0, 0.5, 3.0}}, v[2][3] = {{0.2, 0.4, 0.0}, {0.3, -0.1, 0.6}};
    std::vector<double> values(Rollout<double>::capacity(2, 3)), targets(values.size()), next{0.0, 0.8}, sums(2);
    for (int h = 0; h < 3; ++h) {
        const int running = h < 2 ? 2 : 1, first = rollout.open(running);
        for (int k = 0; k < running; ++k) {
            const int t = h < 2 ? k : 1;
            rollout.trajectory(first + k) = t;
            rollout.reward(first + k) = static_cast<float>(rewards[t][h]);
            values[static_cast<std::size_t>(first + k)] = v[t][h];
        }
    }
    const double gamma = 0.5, lambda = 0.25;
    weigh_by_advantage<double>(rollout, 0.5f, 0.25f, ConstVector<double>(values), Vector<double>(next),
                               Vector<double>(sums), Vector<double>(targets));
    const double d10 = -1.0 + gamma * -0.1 - 0.3, d11 = 0.5 + gamma * 0.6 + 0.1, d12 = 3.0 + gamma * 0.8 - 0.6;
    const double d00 = 1.0 + gamma * 0.4 - 0.2, d01 = 2.0 - 0.4;
    const auto at = [&](int h, int k) { return rollout.weight(rollout.first(h) + k); };
    CHECK(at(0, 0) == Approx(d00 + gamma * lambda * d01));
    CHECK(at(1, 0) == Approx(gamma * d01));
    CHECK(at(0, 1) == Approx(d10 + gamma * lambda * (d11 + gamma * lambda * d12)));
    CHECK(at(1, 1) == Approx(gamma * (d11 + gamma * lambda * d12)));
    CHECK(at(2, 0) == Approx(gamma * gamma * d12));
    CHECK(targets[static_cast<std::size_t>(rollout.first(2))] == Approx(d12 + 0.6));
}

TEST_CASE("with lambda 1 and no bootstrap, advantages are rewards to go minus discounted values") {
    const GridTask map = windy_grid();
    const GridNavigation& environment = map.environment();
    RolloutSettings settings = valued(6);
    settings.value.trace_decay = 1.0f;
    Learner<GridNavigation, Both> valued_one(with_critic<double>(environment, true), settings, limits(environment));
    settings.baseline = Baseline::none;
    settings.evaluation = Evaluation::per_step;
    Learner<GridNavigation, Both> plain(with_critic<double>(environment, true), settings, limits(environment));
    Stream random(5, 0, Purpose::rollout), same = random;
    valued_one.task.set_environment(environment);
    plain.task.set_environment(environment);
    valued_one.task.draw(0, valued_one.parameters, random);
    plain.task.draw(0, valued_one.parameters, same);
    const auto &a = valued_one.task.rollout(0), &b = plain.task.rollout(0);
    CHECK(valued_one.task.value(0, {}) == plain.task.value(0, {}));
    double factor = 1;
    for (int h = 0; h < a.length(); ++h, factor *= static_cast<double>(0.9f)) {
        for (int c = a.first(h); c < a.first(h) + a.active(h); ++c) {
            REQUIRE(a.index(c) == b.index(c));
            const double value = value_of(valued_one.task, valued_one.parameters, a.index(c));
            CHECK(a.weight(c) == Approx(b.weight(c) + factor * value / 6).margin(1e-12));
        }
    }
}

TEST_CASE("with a value network and entropy, gradient and Hessian-vector product agree with finite differences") {
    const GridTask map = windy_grid(GridReward::dense);
    const GridNavigation& environment = map.environment();
    for (const bool one_hot : {true, false}) {
        for (const bool bootstrap : {true, false}) {
            for (const float entropy : {0.0f, 0.3f}) {
                RolloutSettings settings = valued(5);
                settings.value.bootstrap = bootstrap;
                settings.entropy_weight = entropy;
                Learner<GridNavigation, Both> learner(with_critic<double>(environment, one_hot), settings,
                                                      limits(environment));
                auto& task = learner.task;
                task.set_environment(environment);
                CHECK_FALSE(task.evaluates_per_state());
                const std::vector<double> w = learner.parameters;
                std::vector<double> v(w.size()), g(w.size()), up(w.size()), down(w.size()), product(w.size());
                Stream random(3, 0, Purpose::rollout), directions(8, 0, Purpose::user);
                for (double& x : v) x = static_cast<double>(directions.normal());
                task.draw(0, w, random);
                const double h = 1e-5;
                task.gradient(0, w, g);
                CHECK(inner(g, v) ==
                      Approx((task.surrogate(0, moved(w, v, h)) - task.surrogate(0, moved(w, v, -h))) / (2 * h))
                          .epsilon(1e-6));
                task.gradient(0, moved(w, v, h), up);
                task.gradient(0, moved(w, v, -h), down);
                task.hessian_vector(0, w, v, product);
                double error = 0, size = 0;
                for (std::size_t k = 0; k < w.size(); ++k) {
                    const double numeric = (up[k] - down[k]) / (2 * h);
                    error += (product[k] - numeric) * (product[k] - numeric);
                    size += numeric * numeric;
                }
                CHECK(std::sqrt(error / size) < 1e-6);
            }
        }
    }
}

TEST_CASE("entropy's gradient is the same per state and per step, and agrees with finite differences") {
    const GridTask map = windy_grid();
    const GridNavigation& environment = map.environment();
    std::vector<std::vector<double>> gradients;
    for (const Evaluation evaluation : {Evaluation::per_state, Evaluation::per_step}) {
        Learner<GridNavigation, Both> learner(alone(environment),
                                              {.trajectories = 8, .evaluation = evaluation, .entropy_weight = 0.2f},
                                              limits(environment));
        auto& task = learner.task;
        task.set_environment(environment);
        CHECK(task.evaluates_per_state() == (evaluation == Evaluation::per_state));
        const std::vector<double> w = learner.parameters;
        std::vector<double> v(w.size(), 0.3), g(w.size());
        Stream random(3, 0, Purpose::rollout);
        task.draw(0, w, random);
        task.gradient(0, w, g);
        CHECK(inner(g, v) ==
              Approx((task.surrogate(0, moved(w, v, 1e-5)) - task.surrogate(0, moved(w, v, -1e-5))) / 2e-5)
                  .epsilon(1e-6));
        gradients.push_back(g);
    }
    for (std::size_t k = 0; k < gradients[0].size(); ++k)
        CHECK(gradients[0][k] == Approx(gradients[1][k]).margin(1e-12));
}

TEST_CASE("PPO and SPO begin as the policy gradient, and their gradients are those of their surrogates elsewhere") {
    const GridTask map = windy_grid(GridReward::dense);
    const GridNavigation& environment = map.environment();
    for (const Surrogate kind : {Surrogate::ppo, Surrogate::spo}) {
        RolloutSettings settings{.trajectories = 6, .evaluation = Evaluation::per_step};
        Learner<GridNavigation, Both> plain(alone(environment), settings, limits(environment));
        settings.surrogate = {kind, 0.2f};
        Learner<GridNavigation, Both> ratios(alone(environment), settings, limits(environment));
        std::vector<double> one(plain.parameters.size()), other(one.size());
        Stream random(3, 0, Purpose::rollout), same = random, directions(8, 0, Purpose::user);
        plain.task.set_environment(environment);
        ratios.task.set_environment(environment);
        plain.task.draw(0, plain.parameters, random);
        ratios.task.draw(0, plain.parameters, same);
        plain.task.gradient(0, plain.parameters, one);
        ratios.task.gradient(0, plain.parameters, other);
        for (std::size_t k = 0; k < one.size(); ++k) CHECK(other[k] == Approx(one[k]).margin(1e-12));

        std::vector<double> v(one.size());
        for (double& x : v) x = static_cast<double>(directions.normal());
        const std::vector<double> far = moved(plain.parameters, v, 0.5);
        ratios.task.gradient(0, far, other);
        const double h = 1e-6;
        CHECK(inner(other, v) ==
              Approx((ratios.task.surrogate(0, moved(far, v, h)) - ratios.task.surrogate(0, moved(far, v, -h))) /
                     (2 * h))
                  .epsilon(1e-5));
    }
}

TEST_CASE(
    "the divergence is nothing where a batch was drawn, and its gradient that of finite differences elsewhere") {
    const GridTask map = windy_grid(GridReward::dense);
    const GridNavigation& environment = map.environment();
    RolloutSettings settings{
        .trajectories = 6, .evaluation = Evaluation::per_step, .surrogate = {Surrogate::ppo, 0.2f}};
    Learner<GridNavigation, Both> learner(alone(environment), settings, limits(environment));
    Stream random(3, 0, Purpose::rollout), directions(8, 0, Purpose::user);
    learner.task.set_environment(environment);
    learner.task.draw(0, learner.parameters, random);
    std::vector<double> gradient(learner.parameters.size()), v(gradient.size());
    for (double& x : v) x = static_cast<double>(directions.normal());
    CHECK(learner.task.divergence(0, learner.parameters) == 0.0);
    learner.task.divergence_gradient(0, learner.parameters, gradient);
    CHECK(inner(gradient, gradient) == 0.0);

    const std::vector<double> far = moved(learner.parameters, v, 0.5);
    learner.task.divergence_gradient(0, far, gradient);
    CHECK(std::ranges::equal(learner.task.asked_under(0), far));
    const double h = 1e-6;
    CHECK(inner(gradient, v) ==
          Approx((learner.task.divergence(0, moved(far, v, h)) - learner.task.divergence(0, moved(far, v, -h))) /
                 (2 * h))
              .epsilon(1e-5));
    // Nearby it is a square: its gradient grows in proportion, by the Fisher information.
    std::vector<double> twice(gradient.size());
    learner.task.divergence_gradient(0, moved(learner.parameters, v, 1e-5), gradient);
    learner.task.divergence_gradient(0, moved(learner.parameters, v, 2e-5), twice);
    CHECK(inner(twice, v) == Approx(2 * inner(gradient, v)).epsilon(1e-3));
    CHECK(inner(gradient, v) > 0.0);
}

TEST_CASE("PPO says nothing of what went far enough, SPO pulls back") {
    const RatioSurrogate ppo{Surrogate::ppo, 0.2f}, spo{Surrogate::spo, 0.2f};
    const double better = -1, worse = 1;  // weights of losses
    CHECK(ppo.score_factor(better, std::log(1.3)) == 0.0);
    CHECK(ppo.score_factor(better, std::log(0.5)) == Approx(0.5));
    CHECK(ppo.score_factor(worse, std::log(0.7)) == 0.0);
    CHECK(ppo.score_factor(worse, std::log(1.3)) == Approx(1.3));
    CHECK(ppo.loss(better, std::log(1.3)) == Approx(-1.2));
    CHECK(spo.score_factor(better, std::log(1.2)) == Approx(0.0).margin(1e-6));
    CHECK(spo.score_factor(better, std::log(1.4)) < 0.0);
    CHECK(spo.score_factor(worse, std::log(0.8)) == Approx(0.0).margin(1e-6));
}

TEST_CASE("a Gaussian policy's ratios, entropy and values: the gradient agrees with finite differences") {
    PointNavigation point;
    point.horizon_steps = 12;
    Plane policy;
    policy.network.shape = *MlpShape::make(2, std::vector<int>{8}, 2);
    policy.critic.shape = *MlpShape::make(2, std::vector<int>{8}, 1);
    RolloutSettings settings = valued(10);
    settings.value.bootstrap = true;
    settings.entropy_weight = 0.4f;
    settings.surrogate = {Surrogate::spo, 0.3f};
    Learner<PointNavigation, Plane> learner(policy, settings, {.horizon = 12, .observations = 2});
    learner.task.set_environment(point);
    Stream random(3, 0, Purpose::rollout), directions(8, 0, Purpose::user);
    learner.task.draw(0, learner.parameters, random);
    const std::size_t d = learner.parameters.size();
    std::vector<float> v(d), g(d), far = learner.parameters, up, down;
    for (std::size_t k = 0; k < d; ++k) v[k] = directions.normal();
    for (std::size_t k = 0; k < d; ++k) far[k] += 0.02f * v[k];
    up = down = far;
    for (std::size_t k = 0; k < d; ++k) {
        up[k] += 1e-3f * v[k];
        down[k] -= 1e-3f * v[k];
    }
    learner.task.gradient(0, far, g);
    double along = 0;
    for (std::size_t k = 0; k < d; ++k) along += static_cast<double>(g[k]) * static_cast<double>(v[k]);
    const double numeric = (static_cast<double>(learner.task.surrogate(0, up)) -
                            static_cast<double>(learner.task.surrogate(0, down))) /
                           2e-3;
    CHECK(along == Approx(numeric).epsilon(0.02));
}

TEST_CASE("inner steps fit a value network, and the advantages vary less for it") {
    const GridTask map = windy_grid(GridReward::dense);
    const GridNavigation& environment = map.environment();
    RolloutSettings settings = valued(40);
    settings.value.weight = 1.0f;
    Learner<GridNavigation, Single> learner(with_critic<float>(environment, true), settings, limits(environment));
    learner.task.set_environment(environment);
    std::vector<float> g(learner.parameters.size());
    Stream random(3, 0, Purpose::rollout);
    const auto spread = [&] {
        learner.task.draw(0, learner.parameters, random);
        const auto& rollout = learner.task.rollout(0);
        double sum = 0;
        for (int h = 0; h < rollout.length(); ++h) {
            for (int c = rollout.first(h); c < rollout.first(h) + rollout.active(h); ++c)
                sum += static_cast<double>(rollout.weight(c)) * static_cast<double>(rollout.weight(c));
        }
        return sum;
    };
    const double before = spread();
    const std::size_t policy = learner.task.policy().policy_parameters();
    for (int k = 0; k < 300; ++k) {
        learner.task.draw(0, learner.parameters, random);
        learner.task.gradient(0, learner.parameters, g);
        for (std::size_t j = policy; j < g.size(); ++j) learner.parameters[j] -= 0.1f * g[j];
    }
    CHECK(spread() < 0.3 * before);
}

TEST_CASE("last layers are what ANIL moves: of the policy, its deviations, and the critic") {
    Plane policy;
    policy.network.shape = *MlpShape::make(2, std::vector<int>{3}, 2);
    policy.critic.shape = *MlpShape::make(2, std::vector<int>{4}, 1);
    std::vector<float> marks(policy.parameters(), 0.5f);
    mark_last_layers(policy, Vector<float>(marks));
    // 9 numbers below 8 of the last layer and 2 deviations; 12 below 5 of the critic's.
    REQUIRE(marks.size() == 36);
    for (std::size_t k = 0; k < marks.size(); ++k)
        CHECK(marks[k] == ((k < 9 || (k >= 19 && k < 31)) ? 0.0f : 1.0f));
}
