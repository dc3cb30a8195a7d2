// SPDX-License-Identifier: Apache-2.0
#include "ferry.hpp"
#include "training/host/failure.hpp"
#include "training/navigation/meta_trainer.hpp"

#include <cstdio>
#include <vector>

using namespace dunlin;

static_assert(DiscreteEnvironment<Ferry>);  // says what is missing when something is

namespace {

using Trainer = MetaTrainer<Ferry, CategoricalPolicy<float>>;

/// Mean return on these ferries after 0, 1, ..., `steps` inner steps from the meta-policy.
std::vector<double> adapted_returns(Trainer& trainer, const std::vector<Ferry>& ferries, int steps) {
    std::vector<double> returns(static_cast<std::size_t>(steps) + 1);
    trainer.adapt(trainer.parameters(), ferries, steps, 1,
                  [&](int number, int step, ConstVector<float> parameters, Trainer::Task& task) {
                      Stream random(7, static_cast<std::uint32_t>(number), Purpose::user);
                      task.draw(0, parameters, random);
                      returns[static_cast<std::size_t>(step)] -=
                          static_cast<double>(task.value(0, parameters)) / static_cast<double>(ferries.size());
                  });
    return returns;
}

void print(const char* when, const std::vector<double>& returns) {
    std::printf("%s", when);
    for (const double value : returns) std::printf(" %6.2f", value);
    std::printf("\n");
}

}  // namespace

int main() {
    Stream random(1, 0, Purpose::user);
    std::vector<Ferry> training(20), unseen(20);
    for (Ferry& ferry : training) ferry = Ferry::sample(random);
    for (Ferry& ferry : unseen) ferry = Ferry::sample(random);

    const std::vector<int> hidden{16, 16};
    const Result<MlpShape> shape =
        MlpShape::make(training[0].observation_size(), hidden, training[0].action_count());
    const Result<const Kernels<float>*> kernels = find_kernels("fast");
    if (!shape || !kernels) {
        std::fprintf(stderr, "%s\n", describe(shape ? kernels.error() : shape.error(), "policy").text.c_str());
        return 2;
    }

    MetaTrainerSettings settings;
    settings.meta.task_batch = 5;            // B
    settings.meta.interpolation = 0.2f;      // alpha lambda
    settings.meta.inner.prox_weight = 0.1f;  // lambda
    settings.meta.inner.inner_rate = 0.1f;   // beta
    settings.meta.inner.step_limit = 5;
    settings.rollout.trajectories = 40;  // D
    Trainer trainer(CategoricalPolicy<float>{Mlp<float>{*shape, *kernels}}, settings, training);

    const int steps = settings.meta.inner.step_limit;
    std::printf("return on %zu unseen ferries after 0 to %d inner steps\n", unseen.size(), steps);
    const std::vector<double> before = adapted_returns(trainer, unseen, steps);
    print("before meta-training:", before);
    while (trainer.iteration() < 300) {
        if (const Result<void> done = trainer.iterate(); !done) {
            std::fprintf(stderr, "%s\n", describe(done.error(), "training").text.c_str());
            return 1;
        }
    }
    const std::vector<double> after = adapted_returns(trainer, unseen, steps);
    print("after meta-training: ", after);

    // One inner step tells the meta-policy which way the rudder is mounted; before, five did not.
    const bool learned = after[1] > 1.1 * before.back();
    if (!learned) std::fprintf(stderr, "it did not learn\n");
    return learned ? 0 : 1;
}
