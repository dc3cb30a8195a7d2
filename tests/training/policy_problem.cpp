// SPDX-License-Identifier: Apache-2.0
#include "training/problems/policy_problem.hpp"

#include "envs/point_navigation.hpp"
#include "training/problems/point_fleet.hpp"

#include <cmath>
#include <vector>

#include <catch2/catch.hpp>

using namespace dunlin;

namespace {

PointFleetSettings small() {
    PointFleetSettings s;
    s.kind = s.experiment = "fleet-point-navigation";
    s.nodes = 3;
    s.horizon = 12;
    s.hidden = {8};
    s.judged = 40;
    return s;
}

std::unique_ptr<FederatedProblem> made(const PointFleetSettings& settings, int threads = 1) {
    auto problem = point_fleet_kind().make(settings, threads);
    if (!problem) FAIL(problem.error().text);
    return *std::move(problem);
}

std::vector<float> first_of(const FederatedProblem& problem) {
    std::vector<float> w(problem.dimension());
    problem.initialise(w);
    return w;
}

double return_of(FederatedProblem& problem, std::uint32_t node, ConstVector<float> w) {
    return problem.metrics(problem.judge(node, w, 0)).front().value;
}

/// Walks straight to (0.3, 0), whatever it sees.
std::vector<float> walker(const FederatedProblem& problem) {
    std::vector<float> w(problem.dimension(), 0.0f);
    const MlpShape shape = problem.description().shape;
    w[shape.parameters() - 2] = 0.05f;                           // the last layer's first bias
    w[shape.parameters()] = w[shape.parameters() + 1] = -10.0f;  // hardly any noise
    return w;
}

}  // namespace

TEST_CASE("a fleet's policies are judged by what a walk to the goal is worth") {
    PointFleetSettings s = small();
    const auto problem = made(s);
    const std::vector<float> w = walker(*problem);
    for (std::uint32_t node = 0; node < problem->nodes(); ++node) {
        // The goals are drawn as documented.
        Stream random(s.seed, 1, Purpose::tasks);
        PointNavigation goal;
        for (std::uint32_t i = 0; i <= node; ++i) goal = PointNavigation::sample(random);
        double expected = 0, factor = 1;
        for (int h = 1; h <= s.horizon; ++h, factor *= static_cast<double>(s.discount)) {
            const double dx = 0.05 * h - static_cast<double>(goal.goal_x), dy = static_cast<double>(goal.goal_y);
            expected -= factor * (dx * dx + dy * dy);
        }
        const auto metrics = problem->metrics(problem->judge(node, w, 0));
        REQUIRE(metrics.size() == 2);
        CHECK(metrics[0].key == "return");
        CHECK(metrics[0].value == Approx(expected).epsilon(1e-3));
        const double end = 0.05 * s.horizon;
        const bool arrives =
            std::hypot(end - static_cast<double>(goal.goal_x), static_cast<double>(goal.goal_y)) < 0.1;
        CHECK(metrics[1].value == (arrives ? 1.0 : 0.0));
    }
}

TEST_CASE("a fleet's policy becomes a node's own by steps on its environment") {
    PointFleetSettings s = small();
    s.baseline = Baseline::linear;
    const auto problem = made(s);
    const std::vector<float> w = first_of(*problem);
    for (std::uint32_t node = 0; node < problem->nodes(); ++node) {
        std::vector<float> theta = w;
        Stream random(1, node, Purpose::user);
        problem->personalise(node, w, {.steps = 60, .rate = 0.05f, .prox_weight = 0.0f}, random, theta, 0);
        CHECK(return_of(*problem, node, theta) > return_of(*problem, node, w) + 0.05);
    }
}

TEST_CASE("what a fleet's policies are worth does not depend on the worker, nor on what it did before") {
    const auto problem = made(small(), 2);
    const std::vector<float> w = first_of(*problem);
    std::vector<float> one(w.size()), other(w.size());
    for (std::uint32_t node = 0; node < problem->nodes(); ++node) {
        Stream first(5, node, Purpose::user), second(5, node, Purpose::user);
        problem->learner(node, 0).gradient(w, first, one);
        problem->judge((node + 1) % problem->nodes(), w, 1);
        problem->learner(node, 1).gradient(w, second, other);
        CHECK(one == other);
        CHECK(problem->judge(node, w, 0).sums == problem->judge(node, w, 1).sums);
    }
}

TEST_CASE("who learns from everybody's environments draws one of them for each gradient") {
    const auto problem = made(small());
    const std::vector<float> w = first_of(*problem);
    std::vector<float> all(w.size()), one(w.size());
    Stream random(3, 0, Purpose::user);
    std::vector<int> drawn(problem->nodes());
    for (int k = 0; k < 60; ++k) {
        Stream shown = random;
        problem->learner(FederatedProblem::everybody, 0).gradient(w, random, all);
        const std::uint32_t node = shown.below(problem->nodes());
        Stream after = shown;
        problem->learner(node, 0).gradient(w, after, one);
        REQUIRE(all == one);
        CHECK(after.uniform() == Stream(random).uniform());  // the same draws were taken
        ++drawn[node];
    }
    for (const int times : drawn) CHECK(times > 5);
}

TEST_CASE("deviations of a Gaussian policy are shared, whatever layers stay at home") {
    PointFleetSettings s = small();
    s.personal_layers = {"last"};
    const auto problem = made(s);
    const LayerSplit split = problem->split();
    CHECK(split.dimension() == problem->dimension());
    CHECK(split.personal_size() == 8 * 2 + 2);
    split.each_personal([&](std::size_t k) { CHECK(k < problem->dimension() - 2); });
    s.personal_layers = {"first", "last"};
    const auto nothing_shared = point_fleet_kind().make(s, 1);
    REQUIRE_FALSE(nothing_shared);
    CHECK_THAT(nothing_shared.error().text, Catch::Contains("model.personal_layers"));
}

TEST_CASE("a fleet of policies without an environment is refused") {
    const auto none = make_policy_problem(small(), std::vector<PointNavigation>{}, {}, 1);
    REQUIRE_FALSE(none);
    CHECK_THAT(none.error().text, Catch::Contains("environment.nodes"));
}
