// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rl/policy_gradient_task.hpp"
#include "training/problems/personal_layers.hpp"
#include "training/problems/problem_kinds.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace dunlin {

/// The settings of a fleet that learns a policy. A problem's own derive from them, for what its environments take.
struct PolicySettings : ProblemSettings {
    int nodes = 8;
    std::vector<int> hidden{32, 32};
    Activation activation = Activation::tanh;
    std::vector<std::string> personal_layers;
    std::string_view section = "model";  ///< where its document has the layers
    float output_gain = 0.01f;           ///< scale of the last layer at the start
    float first_log_sigma = -0.5f;       ///< of a Gaussian policy
    Baseline baseline = Baseline::leave_one_out;
    float step_clip = 0.5f;  ///< longest step of an inner loop, and to a personal model; 0: no limit
    int judged = 100;        ///< trajectories

    /// Gradients of returns are large, and noisy: steps that suit classifiers diverge here.
    PolicySettings() {
        federated.local_rate = federated.maml_local_rate = 0.002f;
        federated.baseline_rate = 0.01f;
        federated.maml.inner_rate = 0.02f;
        federated.maml.first_order = true;
        federated.moreau = {
            .prox_weight = 0.1f, .inner_rate = 0.02f, .accuracy = 0.0f, .step_limit = 5, .fresh_batches = true};
        federated.moreau_local_rate = 1.0f;
        federated.personal = {.steps = 5, .rate = 0.02f, .prox_weight = 0.1f};
        federated.bilevel.personal_rate = 0.01f;
    }
};

/// Adds environment.nodes, [model] and report.trajectories. `gaussian` where actions are numbers.
void add_policy_settings(Settings& list, PolicySettings& settings, bool gaussian);

/// The policy of an environment: categorical over actions that are counted, Gaussian over numbers.
template <class Environment>
using PolicyOf =
    std::conditional_t<DiscreteEnvironment<Environment>, CategoricalPolicy<float>, GaussianPolicy<float>>;

/// What reports say of environments.
struct EnvironmentTexts {
    std::string task;                         ///< "ferry"
    std::string input, output;                ///< a sentence each: what is observed, and what is done
    std::vector<std::string> input_names{};   ///< of each number that is observed
    std::vector<std::string> output_names{};  ///< of each action, or number of one
    std::vector<std::string> nodes{};         ///< of each environment; empty: "node 0", ...
};

/// Reinforcement learning as a World of WorldProblem: each node owns one environment, and what they share is a
/// policy. Models are judged by the mean discounted return over trajectories that are the same draws each time.
/// Where an environment says `bool arrived(const State&)`, the share of trajectories that end so is judged as well.
template <class Environment>
struct PolicyWorld {
    using Policy = PolicyOf<Environment>;
    using Task = PolicyGradientTask<Environment, Policy>;
    static constexpr bool arrives = requires(const Environment& e, const typename Environment::State& s) {
        { e.arrived(s) } -> std::same_as<bool>;
    };
    /// A task has one environment at a time, so that whoever learns from all of them draws one for each gradient;
    /// and what is drawn depends on the parameters (WorldProblem).
    static constexpr bool one_node_at_a_time = true, draws_by_parameters = true;

    PolicySettings settings;
    EnvironmentTexts texts;
    std::vector<Environment> environments;
    Policy policy;
    LayerSplit split;
    RolloutSettings rollout{};
    RolloutLimits limits{};
    DataNotes notes{};

    std::uint32_t nodes() const { return static_cast<std::uint32_t>(environments.size()); }
    void initialise(Vector<float> w) const {
        Stream random(settings.seed, 0, Purpose::initialise);
        dunlin::initialise(policy.network.shape, random, w, settings.output_gain);
        if constexpr (Policy::continuous)
            std::fill_n(policy.log_sigma(w.data()), policy.actions(), settings.first_log_sigma);
    }
    std::vector<float> samples() const { return std::vector<float>(environments.size(), 1.0f); }
    std::size_t bytes() const { return Task::bytes(policy, rollout, limits); }
    Task make_task(Arena& arena) const { return Task(policy, rollout, limits, arena); }
    void assign(Task& task, std::uint32_t node) const { task.set_environment(environments[node]); }

    FleetScore judge(Task& task, std::uint32_t node, ConstVector<float> w) const {
        assign(task, node);
        Stream random(settings.seed, node, Purpose::evaluate);
        FleetScore score;
        while (score.count < settings.judged) {
            task.draw(0, w, random);
            const auto drawn = task.rollout(0).trajectories();
            score.count += drawn;
            score.sums[0] -= static_cast<double>(task.value(0, w)) * drawn;
            if constexpr (arrives) score.sums[1] += arrivals(task);
        }
        return score;
    }
    std::vector<FleetMetric> metrics(const FleetScore& score) const {
        const auto count = static_cast<double>(score.count);
        std::vector<FleetMetric> all{{"return", "return", score.sums[0] / count}};
        if constexpr (arrives) all.push_back({"success", "success", score.sums[1] / count});
        return all;
    }
    void describe(TrainedModel& model) const {
        model.task = texts.task;
        model.head = Policy::continuous ? ModelHead::gaussian : ModelHead::actions;
        model.shape = policy.network.shape;
        model.input = texts.input;
        model.output = texts.output;
        model.input_names = texts.input_names;
        model.output_names = texts.output_names;
        model.nodes = texts.nodes;
    }

private:
    /// Of the batch in slot 0, the trajectories that ended where the environment says that one has arrived.
    static int arrivals(const Task& task) {
        const auto& rollout = task.rollout(0);
        std::vector<int> last(static_cast<std::size_t>(rollout.trajectories()));
        for (int h = 0; h < rollout.length(); ++h) {
            for (int c = rollout.first(h); c < rollout.first(h) + rollout.active(h); ++c)
                last[static_cast<std::size_t>(rollout.trajectory(c))] = c;
        }
        return static_cast<int>(
            std::ranges::count_if(last, [&](int c) { return task.environment().arrived(task.reached(0, c)); }));
    }
};

/// The room that rollouts need, whichever of these environments is drawn from.
template <class Environment>
RolloutLimits limits_of(const std::vector<Environment>& environments) {
    RolloutLimits limits;
    for (const Environment& environment : environments) {
        limits.horizon = std::max(limits.horizon, static_cast<int>(environment.horizon()));
        limits.observations = std::max(limits.observations, static_cast<int>(environment.observation_size()));
        if constexpr (FiniteEnvironment<Environment>)
            limits.states = std::max(limits.states, static_cast<int>(environment.state_count()));
    }
    return limits;
}

/// A world of these environments, whose policies have this shape. Errors: kernels, layers.
template <class Environment>
Outcome<PolicyWorld<Environment>> make_policy_world(const PolicySettings& s, std::vector<Environment> environments,
                                                    EnvironmentTexts texts, const MlpShape& shape) {
    using Policy = typename PolicyWorld<Environment>::Policy;
    const auto kernels = find_kernels(s.kernels);
    if (!kernels) return refuse(kernels.error(), "kernels = \"" + s.kernels + "\"");
    DataNotes notes;
    const auto split = split_for(shape, s.personal_layers, s.federated.objective(), notes,
                                 Policy::continuous ? static_cast<std::size_t>(shape.outputs()) : 0, s.section);
    if (!split) return tl::unexpected(split.error());
    const RolloutLimits limits = limits_of(environments);
    return PolicyWorld<Environment>{.settings = s,
                                    .texts = std::move(texts),
                                    .environments = std::move(environments),
                                    .policy = Policy{Mlp<float>{shape, *kernels}},
                                    .split = *split,
                                    .rollout = {.trajectories = s.federated.batch,
                                                .baseline = s.baseline,
                                                .slots = s.federated.slots(),
                                                .second_order = s.federated.second_order()},
                                    .limits = limits,
                                    .notes = std::move(notes)};
}

/// How its nodes learn: the objectives' inner loops take steps of a limited length.
inline FederatedSettings learning_of(const PolicySettings& s) {
    FederatedSettings federated = s.federated;
    federated.maml.step_clip = federated.moreau.step_clip = s.step_clip;
    return federated;
}

/// A fleet in which each node owns one of these environments, which have the same observations and actions. Errors:
/// kernels, layers, no environment.
template <class Environment>
Outcome<std::unique_ptr<FederatedProblem>> make_policy_problem(const PolicySettings& s,
                                                               std::vector<Environment> environments,
                                                               EnvironmentTexts texts, int threads) {
    using Environments = PolicyWorld<Environment>;
    if (environments.empty()) return refuse("environment.nodes: no node has an environment");
    int actions = 0;
    if constexpr (Environments::Policy::continuous)
        actions = environments.back().action_size();
    else
        actions = environments.back().action_count();
    const auto shape = MlpShape::make(limits_of(environments).observations, s.hidden, actions, s.activation);
    if (!shape) return refuse(shape.error(), "model.hidden");
    auto world = make_policy_world(s, std::move(environments), std::move(texts), *shape);
    if (!world) return tl::unexpected(world.error());
    return std::make_unique<WorldProblem<Environments>>(*std::move(world), learning_of(s), threads);
}

}  // namespace dunlin
