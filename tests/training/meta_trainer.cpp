// SPDX-License-Identifier: Apache-2.0
#include "training/navigation/meta_trainer.hpp"

#include <limits>

#include <catch2/catch.hpp>

using namespace dunlin;

namespace {

/// Ten steps; the reward is the share of them in which the action was the right one. With `poison` it is NaN.
struct Guess {
    using State = std::int32_t;
    struct Step {
        float reward;
        bool ended;
    };
    int right = 0;
    bool poison = false;

    int horizon() const { return 10; }
    float discount() const { return 1.0f; }
    int action_count() const { return 3; }
    int observation_size() const { return 1; }
    State reset(Stream&) const { return 0; }
    void observe(const State&, float* out, std::ptrdiff_t) const { *out = 1.0f; }
    Step step(State& state, int action, Stream&) const {
        ++state;
        if (poison) return {std::numeric_limits<float>::quiet_NaN(), false};
        return {action == right ? 0.1f : 0.0f, false};
    }
};

using Trainer = MetaTrainer<Guess, CategoricalPolicy<float>>;

CategoricalPolicy<float> policy() {
    const std::vector<int> hidden{4};
    return {Mlp<float>{*MlpShape::make(1, hidden, 3)}};
}

MetaTrainerSettings settings(MetaMethod method, int threads = 1) {
    MetaTrainerSettings s;
    s.meta.method = method;
    s.meta.task_batch = 3;
    s.meta.inner.step_limit = 4;
    s.rollout.trajectories = 8;
    s.seed = 5;
    s.threads = threads;
    return s;
}

const std::vector<Guess> tasks{{0}, {1}, {2}, {1}, {0}};

std::vector<float> parameters(const Trainer& trainer) {
    return {trainer.parameters().begin(), trainer.parameters().end()};
}

void iterate(Trainer& trainer, int times) {
    for (int k = 0; k < times; ++k) REQUIRE(trainer.iterate());
}

/// Mean return on each task after `steps` inner steps.
std::vector<double> returns(Trainer& trainer, const std::vector<Guess>& on, int steps, std::uint32_t epoch = 0) {
    std::vector<double> all(on.size());
    trainer.adapt(trainer.parameters(), on, steps, epoch,
                  [&](int number, int k, ConstVector<float> theta, Trainer::Task& task) {
                      if (k < steps) return;
                      Stream random(9, static_cast<std::uint32_t>(number), Purpose::user);
                      task.draw(0, theta, random);
                      all[static_cast<std::size_t>(number)] = -static_cast<double>(task.value(0, theta));
                  });
    return all;
}

constexpr MetaMethod methods[] = {MetaMethod::memrl, MetaMethod::maml,     MetaMethod::fomaml, MetaMethod::reptile,
                                  MetaMethod::anil,  MetaMethod::meta_sgd, MetaMethod::imaml,  MetaMethod::scratch};

}  // namespace

TEST_CASE("meta-training gives the same numbers for one thread and for three") {
    for (const MetaMethod method : methods) {
        Trainer one(policy(), settings(method, 1), tasks), three(policy(), settings(method, 3), tasks);
        iterate(one, 5);
        iterate(three, 5);
        CHECK(parameters(one) == parameters(three));
        CHECK(one.environment_steps() == three.environment_steps());
        CHECK(one.gradients() == three.gradients());
        CHECK(returns(one, tasks, 3) == returns(three, tasks, 3));
    }
}

TEST_CASE("a trainer restored from a saved state goes on like the one that was saved") {
    for (const MetaMethod method : methods) {
        Trainer whole(policy(), settings(method), tasks), first(policy(), settings(method), tasks),
            second(policy(), settings(method), tasks);
        iterate(whole, 7);
        iterate(first, 4);
        REQUIRE(second.restore(first.save()));
        iterate(second, 3);
        CHECK(parameters(second) == parameters(whole));
        CHECK(second.iteration() == 7);
        CHECK(second.environment_steps() == whole.environment_steps());
        CHECK(second.gradients() == whole.gradients());
    }
}

TEST_CASE("a restored trainer goes on to the bit with a value network, PPO's inner and outer steps, and DoG") {
    using Valued = MetaTrainer<Guess, ActorCritic<CategoricalPolicy<float>>>;
    ActorCritic<CategoricalPolicy<float>> both{policy(), {}};
    both.critic.shape = *MlpShape::make(1, std::vector<int>{4}, 1);
    struct Case {
        MetaMethod method;
        int batch_steps, outer_epochs;
        OuterStep step;
    };
    for (const Case& c :
         {Case{MetaMethod::memrl, 3, 1, OuterStep::own}, Case{MetaMethod::fomaml, 2, 1, OuterStep::dog},
          Case{MetaMethod::fomaml, 1, 3, OuterStep::own}, Case{MetaMethod::meta_sgd, 1, 2, OuterStep::momentum},
          Case{MetaMethod::fomaml, 1, 1, OuterStep::trpo}}) {
        MetaTrainerSettings s = settings(c.method);
        s.meta.first_order = true;
        s.meta.batch_steps = c.batch_steps;
        s.meta.outer_epochs = c.outer_epochs;
        s.meta.outer_step = c.step;
        s.rollout.baseline = Baseline::value;
        s.rollout.surrogate.kind = Surrogate::ppo;
        s.rollout.entropy_weight = 0.01f;
        MetaTrainerSettings threads = s;
        threads.threads = 3;
        Valued whole(both, s, tasks), first(both, s, tasks), second(both, threads, tasks);
        for (int k = 0; k < 7; ++k) REQUIRE(whole.iterate());
        for (int k = 0; k < 4; ++k) REQUIRE(first.iterate());
        REQUIRE(second.restore(first.save()));
        for (int k = 0; k < 3; ++k) REQUIRE(second.iterate());
        CHECK(std::ranges::equal(second.learned(), whole.learned()));
        CHECK(second.environment_steps() == whole.environment_steps());
        // Trajectories are drawn once, however often they are used.
        const int batches = c.batch_steps == 1               ? s.meta.exact_or_first_order().steps + 1
                            : c.method == MetaMethod::fomaml ? 2
                                                             : 4;
        CHECK(whole.environment_steps() == 7 * 3 * batches * 8 * 10);
    }
}

TEST_CASE("TRPO stays within its radius, learns, and gives the same numbers for any number of threads") {
    using Compared = MetaTrainer<Guess, ActorCritic<CategoricalPolicy<float>>>;
    MetaTrainerSettings s = settings(MetaMethod::fomaml);
    s.meta.outer_step = OuterStep::trpo;
    s.meta.maml.steps = 1;
    s.meta.maml.inner_rate = 1.0f;
    s.rollout.trajectories = 20;
    s.rollout.surrogate = {Surrogate::ppo, 2.0f};
    MetaTrainerSettings threads = s;
    threads.threads = 3;
    const std::vector<Guess> two{{0}, {1}, {0}};  // nobody asks for the third action
    Compared one({policy(), {}}, s, two), three({policy(), {}}, threads, two);
    int moved = 0;
    for (int k = 0; k < 40; ++k) {
        REQUIRE(one.iterate());
        REQUIRE(three.iterate());
        const TrustRegion::Outcome& outer = one.trust_region();
        CHECK((outer.products >= 2 && outer.products <= s.meta.trust.conjugate_steps + 1));
        if (!outer.moved) continue;
        ++moved;
        CHECK((outer.divergence > 0.0f && outer.divergence <= s.meta.trust.radius));
    }
    CHECK(moved + one.stayed() == 40);
    CHECK(moved > 20);
    CHECK(std::ranges::equal(one.learned(), three.learned()));
    // A trajectory is drawn once: an inner batch and an outer one.
    CHECK(one.environment_steps() == 40 * 3 * 2 * 20 * 10);
    double best = 0.0;
    one.adapt(one.parameters(), two, 0, 0, [&](int number, int, ConstVector<float> w, Compared::Task& task) {
        Stream random(9, 0, Purpose::user);
        if (number == 2) return;
        task.draw(0, w, random);
        best += -static_cast<double>(task.value(0, w)) / 2;
    });
    CHECK(best > 0.42);  // a third before; half is the most that one policy can have of both
}

TEST_CASE("a state of other sizes is refused and changes nothing") {
    Trainer trainer(policy(), settings(MetaMethod::memrl), tasks);
    iterate(trainer, 1);
    const std::vector<float> before = parameters(trainer);
    MetaTrainerState shorter = trainer.save();
    shorter.parameters.pop_back();
    CHECK(trainer.restore(shorter).error().code == Code::shape_mismatch);
    MetaTrainerState fewer = trainer.save();
    fewer.stream_epochs.pop_back();
    CHECK(trainer.restore(fewer).error().code == Code::shape_mismatch);
    CHECK(parameters(trainer) == before);
    CHECK(trainer.iteration() == 1);
}

TEST_CASE("adapting and evaluating do not change how training goes on") {
    Trainer plain(policy(), settings(MetaMethod::memrl), tasks),
        watched(policy(), settings(MetaMethod::memrl), tasks);
    for (int k = 0; k < 4; ++k) {
        iterate(plain, 1);
        iterate(watched, 1);
        returns(watched, tasks, 5, static_cast<std::uint32_t>(k));
    }
    CHECK(parameters(plain) == parameters(watched));
    CHECK(plain.environment_steps() == watched.environment_steps());
}

TEST_CASE("adaptation starts at the meta-parameters, repeats for an epoch and differs between epochs") {
    Trainer trainer(policy(), settings(MetaMethod::memrl), tasks);
    iterate(trainer, 2);
    int visits = 0;
    trainer.adapt(trainer.parameters(), {{1}}, 2, 0, [&](int, int k, ConstVector<float> theta, Trainer::Task&) {
        CHECK(k == visits++);
        if (k == 0) CHECK(std::ranges::equal(theta, trainer.parameters()));
    });
    CHECK(visits == 3);
    CHECK(returns(trainer, tasks, 3, 1) == returns(trainer, tasks, 3, 1));
    CHECK(returns(trainer, tasks, 3, 1) != returns(trainer, tasks, 3, 2));
}

TEST_CASE("meta-training makes adaptation better on every task, and no meta-training changes nothing") {
    // The third action is right nowhere: that much can be known before adapting.
    const std::vector<Guess> known{{0}, {1}, {0}, {1}};
    MetaTrainerSettings s = settings(MetaMethod::memrl);
    s.rollout.trajectories = 20;
    s.meta.task_batch = 4;
    s.meta.interpolation = 0.1f;
    s.meta.inner.inner_rate = 0.5f;
    Trainer trainer(policy(), s, known);
    const std::vector<double> before = returns(trainer, known, 4);
    iterate(trainer, 50);
    const std::vector<double> after = returns(trainer, known, 4);
    for (std::size_t task = 0; task < known.size(); ++task) CHECK(after[task] > before[task] + 0.03);

    Trainer scratch(policy(), settings(MetaMethod::scratch), tasks);
    const std::vector<float> first = parameters(scratch);
    iterate(scratch, 3);
    CHECK(parameters(scratch) == first);
    CHECK(scratch.environment_steps() == 0);
}

TEST_CASE("a NaN stops an iteration and leaves the parameters of the one before") {
    for (const MetaMethod method : methods) {
        if (method == MetaMethod::scratch) continue;
        MetaTrainerSettings s = settings(method);
        s.meta.task_batch = 1;
        std::vector<Guess> some(20, Guess{1});
        some[13].poison = true;
        Trainer trainer(policy(), s, some);
        std::vector<float> before = parameters(trainer);
        Result<void> done = trainer.iterate();
        for (int k = 1; k < 1000 && done; ++k) {
            before = parameters(trainer);
            done = trainer.iterate();
        }
        REQUIRE_FALSE(done);
        CHECK(done.error().code == Code::not_finite);
        CHECK(parameters(trainer) == before);
        for (const float value : before) REQUIRE(std::isfinite(value));
    }
}
