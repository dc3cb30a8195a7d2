// SPDX-License-Identifier: Apache-2.0
#include "training/navigation/recurrent_training.hpp"

#include "training/navigation/recurrent_trainer.hpp"

#include <cmath>
#include <vector>

using namespace dunlin;

namespace {

/// Which of four arms pays is the task: one try a trajectory.
struct Arms {
    struct State {
        int unused = 0;
    };
    struct Step {
        float reward;
        bool ended;
    };
    int best = 0;

    int horizon() const { return 1; }
    float discount() const { return 1.0f; }
    int action_count() const { return 4; }
    int observation_size() const { return 1; }
    State reset(Stream&) const { return {}; }
    Step step(State&, int action, Stream&) const { return {action == best ? 1.0f : 0.0f, action == best}; }
    void observe(const State&, float* out, std::ptrdiff_t) const { out[0] = 1.0f; }
};

std::vector<Arms> arms() {
    std::vector<Arms> all(4);
    for (int k = 0; k < 4; ++k) all[static_cast<std::size_t>(k)].best = k;
    return all;
}

RecurrentTrainer<Arms> trainer(LayerKind cell, bool across, int threads) {
    const auto policy =
        RecurrentPolicy<float>::make(trial_inputs(1, 4), 16, cell, 16, 4, *available_kernels()).value();
    RecurrentSettings settings;
    settings.cell = cell;
    settings.encoder = settings.units = 16;
    settings.trials = 64;
    settings.outer.rate = 0.01f;
    settings.trial.steps = 6;
    settings.trial.across = across;
    settings.trial.discount = 1.0f;
    return {policy, settings, 1, 0.01f, threads, arms()};
}

/// Share of trials whose sixth try pays, over all tasks.
double sixth_try(RecurrentTrainer<Arms>& trained) {
    double sum[4] = {};
    trained.trials(trained.parameters(), arms(), 6, 1, [&](int number, const auto& task) {
        for (int trial = 0; trial < task.trials(); ++trial)
            sum[number] += task.episode_success(trial, 5) ? 1.0 / task.trials() : 0.0;
    });
    return (sum[0] + sum[1] + sum[2] + sum[3]) / 4;
}

}  // namespace

TEST_CASE("a memory across trajectories finds the arm that pays and stays with it, and without one nothing can") {
    for (const LayerKind cell : {LayerKind::gru, LayerKind::lstm}) {
        for (const bool across : {true, false}) {
            auto trained = trainer(cell, across, 1);
            for (int k = 0; k < 200; ++k) REQUIRE(trained.iterate());
            CHECK(trained.environment_steps() == 200 * 64 * 6);
            const double share = sixth_try(trained);
            CHECK((across ? share > 0.9 : share < 0.5));
        }
    }
}

TEST_CASE("a recurrent policy is learned alike by any number of threads, and goes on where it was saved") {
    auto one = trainer(LayerKind::gru, true, 1), three = trainer(LayerKind::gru, true, 3);
    for (int k = 0; k < 4; ++k) {
        REQUIRE(one.iterate());
        REQUIRE(three.iterate());
    }
    CHECK(std::vector(one.parameters().begin(), one.parameters().end()) ==
          std::vector(three.parameters().begin(), three.parameters().end()));
    auto later = trainer(LayerKind::gru, true, 2);
    REQUIRE(later.restore(one.save()));
    REQUIRE(later.iterate());
    REQUIRE(one.iterate());
    CHECK(std::vector(one.parameters().begin(), one.parameters().end()) ==
          std::vector(later.parameters().begin(), later.parameters().end()));

    MetaTrainerState policy_alone = one.save();
    policy_alone.parameters.resize(one.policy().policy_parameters());
    CHECK(later.restore(policy_alone));
    policy_alone.parameters.pop_back();
    CHECK_FALSE(later.restore(policy_alone));
}

TEST_CASE("recurrent policies train on rule worlds and grids, and the point world has no actions to choose from") {
    NavigationSettings settings;
    settings.meta.method = MetaMethod::rl2;
    settings.recurrent.trials = 32;
    settings.meta.inner.step_limit = 1;
    settings.horizon = 40;
    for (const World world : {World::rules, World::grid}) {
        settings.world = world;
        settings.training_tasks = settings.held_out_tasks = 3;
        auto made = NavigationTraining::make(settings, 1);
        REQUIRE(made);
        NavigationTraining& training = **made;
        REQUIRE(training.iterate());
        CHECK(training.environment_steps() == 32 * 2 * 40);
        const auto outcomes = training.evaluate(TaskSet::training, 2, 1, false);
        REQUIRE(outcomes.size() == 3);
        CHECK(outcomes.front().size() == 3);
        CHECK(training.adaptation_environment_steps() == 3 * 2 * 40);
        CHECK(outcomes.front().front().optimal_return > 0.0);
    }
    settings.world = World::point;
    CHECK_FALSE(NavigationTraining::make(settings, 1));
    settings.world = World::rules;
    settings.recurrent.trials = 40;
    CHECK_FALSE(NavigationTraining::make(settings, 1));
}

TEST_CASE("who stood on the goal succeeded, with dense reward too, for a memory as for any other policy") {
    NavigationSettings settings;
    settings.tasks = TaskSource::sampled;
    settings.training_tasks = 10;
    settings.held_out_tasks = 0;
    settings.horizon = 20;
    settings.output_gain = 0.0;  // all actions alike
    settings.recurrent.trials = 64;
    for (const Reward reward : {Reward::sparse, Reward::dense}) {
        settings.reward = reward;
        double mean[2] = {0, 0};
        for (const MetaMethod method : {MetaMethod::scratch, MetaMethod::rl2}) {
            settings.meta.method = method;
            auto made = NavigationTraining::make(settings, 1);
            REQUIRE(made);
            for (const auto& outcomes : (**made).evaluate(TaskSet::training, 0, 1, false))
                mean[method == MetaMethod::rl2] += outcomes.front().success / 10;
        }
        CHECK(mean[0] > 0.1);
        CHECK(std::abs(mean[0] - mean[1]) < 0.08);  // the second over 640 trajectories, five deviations
    }
}
