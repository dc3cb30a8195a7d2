// SPDX-License-Identifier: Apache-2.0
#include "training/problems/regression_fleet.hpp"

#include "envs/regression_optimum.hpp"
#include "training/host/median.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace dunlin {
namespace {

/// What each agent minimises, in closed form, in double.
struct Closed {
    explicit Closed(const RegressionRunSettings& s)
        : envelope(s.federated.objective() == Objective::moreau),
          steps(s.steps),
          inner_rate(static_cast<double>(s.inner_rate)),
          prox_weight(static_cast<double>(s.prox_weight)),
          maml{s.budget(), inner_rate, s.data.batch} {}

    /// Each Hessian is a multiple of the identity.
    ///
    /// The expected gradient of f is h (z - centre) with h = 2 s^2 + rho and centre = 2 s^2 / h beta. Of the envelope's
    /// gradient lambda (w - theta_K), by K steps on batches of their own, the expectation is
    ///
    ///     lambda (1 - e_K) (w - centre),   e_0 = 1,   e_{k+1} = e_k - rate (h e_k + lambda (e_k - 1))
    ///
    /// for a step is linear in theta and its batch is new: E[theta_k - centre] = e_k (w - centre).
    double curvature(const RegressionAgent& agent) const {
        if (envelope) {
            const double h = plain_curvature(agent);
            double e = 1;
            for (int k = 0; k < steps; ++k) e -= inner_rate * (h * e + prox_weight * (e - 1));
            return prox_weight * (1 - e);
        }
        std::vector<double> z(agent.beta.size());
        const double at_zero = maml.gradient(agent, z)[0];
        z[0] = 1;
        return maml.gradient(agent, z)[0] - at_zero;
    }
    std::vector<double> minimiser(std::span<const RegressionAgent> agents) const {
        if (!envelope) return maml.minimiser(agents);
        std::vector<double> z(agents.front().beta.size());
        double weight = 0;
        for (const RegressionAgent& agent : agents) {
            const double c = curvature(agent),
                         shrunk = c * (1 - static_cast<double>(agent.ridge) / plain_curvature(agent));
            weight += c;
            for (std::size_t k = 0; k < z.size(); ++k) z[k] += shrunk * static_cast<double>(agent.beta[k]);
        }
        for (double& value : z) value /= weight;
        return z;
    }
    static double plain_curvature(const RegressionAgent& agent) {
        return 2 * std::pow(static_cast<double>(agent.feature_scale), 2) + static_cast<double>(agent.ridge);
    }

    bool envelope;
    int steps;
    double inner_rate, prox_weight;
    RegressionObjective maml;
};

/// All agents, each with its coefficients.
struct Agents {
    explicit Agents(const RegressionRunSettings& s)
        : beta(static_cast<std::size_t>(s.data.agents) * static_cast<std::size_t>(s.data.dimension)) {
        const auto d = static_cast<std::size_t>(s.data.dimension);
        for (int i = 0; i < s.data.agents; ++i)
            all.push_back(
                draw_agent(s.data, s.seed, i, std::span(beta).subspan(static_cast<std::size_t>(i) * d, d)));
    }
    std::vector<float> beta;
    std::vector<RegressionAgent> all;
};

/// E (b - a'w)^2 = s^2 |w - beta|^2 + sigma^2
double expected_error(const RegressionAgent& agent, ConstVector<float> w) {
    double distance = 0;
    for (std::size_t k = 0; k < w.size(); ++k) {
        const double difference = static_cast<double>(w[k]) - static_cast<double>(agent.beta[k]);
        distance += difference * difference;
    }
    const double scale = static_cast<double>(agent.feature_scale), noise = static_cast<double>(agent.noise);
    return scale * scale * distance + noise * noise;
}

struct RegressionWorld {
    using Task = LinearRegression<float>;
    /// There is no everybody's agent.
    static constexpr bool one_node_at_a_time = true;

    RegressionSettings data;
    const Kernels<float>* kernels;
    int slots;
    std::shared_ptr<const Agents> agents;
    Closed closed;
    std::vector<double> optimum;
    std::vector<std::uint8_t> present{};  ///< whose optimum it is; empty: all

    std::uint32_t nodes() const { return static_cast<std::uint32_t>(agents->all.size()); }
    void initialise(Vector<float> w) const { std::ranges::fill(w, 0.0f); }
    std::vector<float> samples() const { return std::vector<float>(agents->all.size(), 1.0f); }
    std::size_t bytes() const { return Task::bytes(data.dimension, data.batch, slots); }
    Task make_task(Arena& arena) const {
        Task task(data.dimension, data.batch, slots, arena);
        task.kernels = kernels;
        return task;
    }
    void assign(Task& task, std::uint32_t node) const { task.agent = agents->all[node]; }

    /// The minimiser is that of those who are present.
    void attend(std::span<const std::uint8_t> who) {
        if (std::ranges::equal(present, who)) return;
        present.assign(who.begin(), who.end());
        std::vector<RegressionAgent> all;
        for (std::size_t i = 0; i < who.size(); ++i) {
            if (who[i] != 0) all.push_back(agents->all[i]);
        }
        optimum = closed.minimiser(all);
    }
    /// The expected squared error, and the distance from the minimiser of F, relative: |w - w*| / |w*|.
    FleetScore judge(Task&, std::uint32_t node, ConstVector<float> w) const {
        const bool there = present.empty() || present[node] != 0;
        return {1,
                {expected_error(agents->all[node], w),
                 there ? worst_relative_error(w, optimum) : std::numeric_limits<double>::quiet_NaN(), 0.0}};
    }
    std::vector<FleetMetric> metrics(const FleetScore& score) const {
        return {{"squared_error", "expected squared error", score.sums[0] / static_cast<double>(score.count)}};
    }
    std::vector<FleetMetric> node_metrics(std::uint32_t, const FleetScore& score) const {
        return {{"relative_error", "distance from the minimiser", score.sums[1]}, metrics(score).front()};
    }
    std::vector<FleetMetric> metrics_of(std::span<const FleetScore> scores) const {
        std::vector<double> errors;
        for (const FleetScore& score : scores) {
            if (!std::isnan(score.sums[1])) errors.push_back(score.sums[1]);
        }
        if (errors.empty()) errors.push_back(std::numeric_limits<double>::quiet_NaN());
        return {{"worst_error", "error, worst node", *std::ranges::max_element(errors)},
                {"median_error", "median node", median(errors)}};
    }
    void describe(TrainedModel& model) const {
        model.task = "regression";
        model.head = ModelHead::value;
        model.shape = {
            .inputs = data.dimension, .layers = 1, .widths = {1}, .hidden = Activation::identity, .bias = false};
        model.input = fmt::format("{} features, drawn from a normal distribution", data.dimension);
        model.output = "the predicted observation: the sum of features times coefficients";
        model.output_names = {"observation"};
        for (std::size_t i = 0; i < agents->all.size(); ++i) model.nodes.push_back(fmt::format("agent {}", i));
    }
};

/// With a server steps do not shrink: they are as large as the first one of a round.
FederatedSettings learning_of(const RegressionRunSettings& s) {
    FederatedSettings learning;
    const auto first = static_cast<float>(regression_steps(s).at(0));
    learning.method = s.federated.method;
    learning.deployment = s.federated.deployment;
    learning.maml = {.steps = s.steps, .inner_rate = s.inner_rate};
    learning.moreau = {.prox_weight = s.prox_weight,
                       .inner_rate = s.inner_rate,
                       .accuracy = 0.0f,
                       .step_limit = s.steps,
                       .fresh_batches = true};
    learning.local_rate = learning.maml_local_rate = learning.moreau_local_rate = first;
    learning.batch = s.data.batch;
    learning.personal = {.steps = s.budget(), .rate = s.inner_rate};
    s.serve(learning, s.data.agents);
    return learning;
}

Outcome<RoundPlan> rounds_of(const RegressionRunSettings& s, const FederatedProblem& agents) {
    const FederatedSettings learning = learning_of(s);
    const Method method = s.federated.method;
    if (const std::string refusal = refusal_of(method); !refusal.empty())
        return refuse(fmt::format("objective.name = {}, aggregation.name = {}: {}", name_of(method.objective),
                                  name_of(method.aggregation), refusal));
    return RoundPlan{.recipe = s.recipe(learning, agents.nodes(), s.seed, regression_steps(s)),
                     .rounds = s.rounds,
                     .learning = s.rounds,
                     .evaluate_every = s.evaluate_every,
                     .tail = regression_tail_rounds,
                     .columns = {"round", "wake_ups", "task_gradients", "messages_lost", "worst_error",
                                 "median_error", "consensus_error"},
                     .method = std::string(title_of(s.federated.method.aggregation)),
                     .shared_is = fmt::format("the mean of the agents' coefficients, seed {}", s.seed),
                     .advice = "try a smaller method.step_scale or a larger method.step_offset"};
}

}  // namespace

StepSchedule regression_steps(const RegressionRunSettings& s) {
    const Agents agents(s);
    const Closed closed(s);
    double mean = 0, largest = 0;
    for (const RegressionAgent& agent : agents.all) {
        const double curvature = closed.curvature(agent);
        mean += curvature / static_cast<double>(agents.all.size());
        largest = std::max(largest, curvature);
    }
    StepSchedule theta;
    theta.scale = s.step_scale > 0.0f ? static_cast<double>(s.step_scale) : 2.0 / mean;
    theta.offset = s.step_offset > 0.0f ? static_cast<double>(s.step_offset) : 20.0 * theta.scale * largest;
    return theta;
}

Outcome<std::unique_ptr<FederatedProblem>> make_regression(const RegressionRunSettings& s, int threads) {
    constexpr std::int64_t most_numbers = std::int64_t{1} << 27;  // of all agents' coefficients
    if (std::int64_t{s.data.agents} * s.data.dimension > most_numbers)
        return refuse(
            fmt::format("environment.agents = {}, environment.dimension = {}: more than {} numbers together",
                        s.data.agents, s.data.dimension, most_numbers));
    const auto kernels = find_kernels(s.kernels);
    if (!kernels) return refuse(kernels.error(), "kernels = \"" + s.kernels + "\"");
    if (Result<void> checked = check(s.data); !checked) return refuse(checked.error(), "environment");
    const Objective objective = s.federated.objective();
    if (traits_of(objective).kept != Kept::nothing)
        return refuse(fmt::format(
            "objective.name = {}: a linear model has one layer, and is judged by its distance from an exact "
            "minimiser, which is that of what is shared: take plain, maml or moreau",
            name_of(objective)));
    if (objective == Objective::moreau && s.steps < 1)
        return refuse("adaptation.steps = 0: the Moreau envelope is found by steps; set 1 or more");
    if (objective == Objective::moreau && s.inner_rate * s.prox_weight >= 1.0f)
        return refuse(
            fmt::format("adaptation.inner_rate = {}: times adaptation.prox_weight = {} it must stay below 1, or "
                        "the inner loop overshoots",
                        s.inner_rate, s.prox_weight));
    const FederatedSettings learning = learning_of(s);
    RegressionWorld world{.data = s.data,
                          .kernels = *kernels,
                          .slots = learning.slots(),
                          .agents = std::make_shared<const Agents>(s),
                          .closed = Closed(s),
                          .optimum = {}};
    world.optimum = world.closed.minimiser(world.agents->all);
    return std::make_unique<WorldProblem<RegressionWorld>>(std::move(world), learning, threads);
}

double personalised_error(const RegressionRunSettings& s, std::span<const float> models, int steps) {
    constexpr int repeats = 20;
    const Agents agents(s);
    const Maml step{.steps = 0, .inner_rate = s.inner_rate};
    HostMemory memory(LinearRegression<float>::bytes(s.data.dimension, s.data.batch, 1));
    Arena arena(memory.bytes());
    LinearRegression<float> task(s.data.dimension, s.data.batch, 1, arena);
    task.kernels = &generic_kernels<float>();
    const auto d = static_cast<std::size_t>(s.data.dimension);
    std::vector<float> z(d), next(d);
    double sum = 0;
    for (std::size_t i = 0; i < agents.all.size(); ++i) {
        task.agent = agents.all[i];
        Stream random(s.seed, static_cast<std::uint32_t>(i), Purpose::evaluate);
        for (int repeat = 0; repeat < repeats; ++repeat) {
            std::ranges::copy(models.subspan(i * d, d), z.begin());
            for (int r = 0; r < steps; ++r) {
                task.draw(0, z, random);
                step.step<float>(task, 0, z, next);
                std::swap(z, next);
            }
            sum += expected_error(agents.all[i], z);
        }
    }
    return sum / (repeats * static_cast<double>(agents.all.size()));
}

ProblemKind<RegressionRunSettings> regression_kind() {
    return {.name = "regression",
            .nodes_are = "agents",
            .settings = regression_settings,
            .make = make_regression,
            .about =
                [](const RegressionRunSettings& s, const FederatedProblem& made) {
                    return fmt::format("Linear regression: {} agents, {} coefficients.", made.nodes(),
                                       s.data.dimension);
                },
            .method_key = "method.name",
            .methods = "pars-push,sgp",
            .learning = [](const RegressionRunSettings& s) { return learning_of(s); },
            .judging = [](const RegressionRunSettings&) { return Judging{.personal = {.steps = 0}}; },
            .rounds = rounds_of,
            .resize = [](RegressionRunSettings& s, std::uint32_t n) { s.data.agents = static_cast<int>(n); },
            .describe =
                [](const RegressionRunSettings& s, const FederatedProblem& made) {
                    TrainedModel model = made.description();
                    model.personal_is = personal_sentence({.steps = s.budget(), .rate = s.inner_rate});
                    return model;
                },
            .report = report_regression,
            .side_runs = regression_side_runs};
}

}  // namespace dunlin
