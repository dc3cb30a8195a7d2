// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/saved_model.hpp"
#include "core/kernels.hpp"
#include "core/random.hpp"
#include "python/native.hpp"
#include "rl/adaptation.hpp"
#include "rl/policy_gradient_task.hpp"
#include "training/host/host_memory.hpp"
#include "training/problems/policy_problem.hpp"

#include <memory>
#include <optional>
#include <vector>

#include <fmt/format.h>

namespace dunlin::python {

/// A trained model in Python's hands. Its parameters are an array that both languages see. For one thread at a time.
struct Model {
    explicit Model(app::SavedModel opened);

    app::SavedModel saved;
    const Kernels<float>* kernels;
    Stream random;  ///< of the actions that are drawn

    const TrainedModel& trained() const { return saved.model; }
};

/// How a policy is adapted: as the run that made it adapts.
struct InnerLoop {
    MoreauEnvelope inner;
    RolloutSettings rollout;
    std::uint64_t seed = 1;
    float discount = 0.99f;  ///< of environments that have none of their own
};
/// With what a caller says instead. Raises: steps and trajectories out of range; a model of another kind.
InnerLoop inner_loop_of(const app::SavedModel& saved, int steps, std::optional<int> trajectories,
                        std::optional<std::uint64_t> seed);

/// A policy taken to an environment by steps of the inner loop, and its mean return after 0, 1, ... of them, each on
/// trajectories of its own.
struct Adapted {
    std::vector<float> parameters;
    std::vector<double> returns;
};

/// Without Python's lock. Errors: a policy that does not fit the environment.
template <class E>
Outcome<Adapted> adapted(const Model& model, const E& environment, const InnerLoop& how, int steps) {
    using Policy = PolicyOf<E>;
    const TrainedModel& trained = model.trained();
    if (!trained.navigates() || trained.network || trained.gaussian() != Policy::continuous)
        return refuse("adapt: this model is no policy for such actions");
    int actions = 0;
    if constexpr (Policy::continuous)
        actions = environment.action_size();
    else
        actions = environment.action_count();
    const RolloutLimits limits = limits_of(std::vector<E>{environment});
    const int inputs = trained.shape.one_hot ? limits.states : limits.observations;
    if (trained.inputs() != inputs || trained.outputs() != actions) {
        return refuse(
            fmt::format("adapt: the policy takes {} inputs and gives {} outputs, and the environment has {} "
                        "and {}",
                        trained.inputs(), trained.outputs(), inputs, actions));
    }
    const Policy policy{Mlp<float>{trained.shape, model.kernels}};
    HostMemory memory(PolicyGradientTask<E, Policy>::bytes(policy, how.rollout, limits));
    Arena arena(memory.bytes());
    PolicyGradientTask<E, Policy> task(policy, how.rollout, limits, arena);
    const std::size_t d = policy.parameters();
    Adapted result{std::vector<float>(d), {}};
    std::vector<float> scratch(d);
    Stream random = adaptation_stream(how.seed, 0, set_apart_epochs + 2), judging(how.seed, 0, Purpose::user);
    adapt_to(environment, how.inner, ConstVector<float>(trained.parameters), steps, random, task,
             Vector<float>(result.parameters), Vector<float>(scratch), [&](int, ConstVector<float> theta) {
                 task.draw(0, theta, judging);
                 result.returns.push_back(-static_cast<double>(task.value(0, theta)));
             });
    return result;
}

}  // namespace dunlin::python
