// SPDX-License-Identifier: Apache-2.0
#include "training/runs/adaptable.hpp"

#include "training/problems/classification_fleet.hpp"
#include "training/problems/personal_layers.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace dunlin {
namespace {

Adaptable as_adaptable(Outcome<std::unique_ptr<FederatedProblem>> made) {
    if (!made) return tl::unexpected(made.error());
    return *std::move(made);
}

struct RegressionWorld {
    using Task = LinearRegression<float>;

    RegressionSettings data;
    const Kernels<float>* kernels = nullptr;
    std::vector<std::vector<float>> beta{};
    std::vector<RegressionAgent> agents{};

    std::uint32_t nodes() const { return static_cast<std::uint32_t>(agents.size()); }
    void initialise(Vector<float> w) const { std::ranges::fill(w, 0.0f); }
    std::vector<float> samples() const { return std::vector<float>(agents.size(), 1.0f); }
    std::size_t bytes() const { return Task::bytes(data.dimension, data.batch, 1); }
    Task make_task(Arena& arena) const {
        Task task(data.dimension, data.batch, 1, arena);
        task.kernels = kernels;
        return task;
    }
    void assign(Task& task, std::uint32_t node) const {
        task.agent = agents[node == FederatedProblem::everybody ? 0 : node];
    }
    /// E (b - a'w)^2 = s^2 |w - beta|^2 + sigma^2
    FleetScore judge(Task&, std::uint32_t node, ConstVector<float> w) const {
        const RegressionAgent& agent = agents[node];
        double distance = 0;
        for (std::size_t k = 0; k < w.size(); ++k) {
            const double difference = static_cast<double>(w[k]) - static_cast<double>(agent.beta[k]);
            distance += difference * difference;
        }
        const double scale = static_cast<double>(agent.feature_scale), noise = static_cast<double>(agent.noise);
        return {1, {scale * scale * distance + noise * noise, 0.0, 0.0}};
    }
    std::vector<FleetMetric> metrics(const FleetScore& score) const {
        return {{"squared_error", "expected squared error", score.sums[0] / static_cast<double>(score.count)}};
    }
    void describe(TrainedModel& model) const {
        model.task = "regression";
        model.head = ModelHead::value;
        model.shape = {
            .inputs = data.dimension, .layers = 1, .widths = {1}, .hidden = Activation::identity, .bias = false};
        model.input = fmt::format("{} features, drawn from a normal distribution", data.dimension);
        model.output = "the predicted observation: the sum of features times coefficients";
        model.output_names = {"observation"};
        for (std::size_t i = 0; i < agents.size(); ++i) model.nodes.push_back(fmt::format("agent {}", i));
    }
};

RegressionWorld world_of(const RegressionRunSettings& s, const Kernels<float>* kernels) {
    RegressionWorld world{.data = s.data, .kernels = kernels};
    for (int i = 0; i < s.data.agents; ++i) {
        world.beta.emplace_back(static_cast<std::size_t>(s.data.dimension));
        world.agents.push_back(draw_agent(s.data, s.seed, i, world.beta.back()));
    }
    return world;
}

}  // namespace

Adaptable make_adaptable(const DecentralisedSettings& s) {
    const auto kernels = find_kernels(s.kernels);
    if (!kernels) return refuse(kernels.error(), "kernels");
    auto data = read_data(s.data, s.seed);
    if (!data) return tl::unexpected(data.error());
    const Outcome<MlpShape> shape = network_of(s, data->table);
    if (!shape) return tl::unexpected(shape.error());
    const auto split = split_of(*shape, s.personal_layers);
    if (!split) return tl::unexpected(split.error());
    FederatedSettings settings;
    settings.method = preset::fedavg;
    settings.batch = s.batch;
    return as_adaptable(
        make_classification_problem(*std::move(data), *shape, *split, **kernels, settings, s.seed, 1));
}

Adaptable make_adaptable(const RegressionRunSettings& s) {
    const auto kernels = find_kernels(s.kernels);
    if (!kernels) return refuse(kernels.error(), "kernels");
    if (Result<void> checked = check(s.data); !checked) return refuse(checked.error(), "environment");
    FederatedSettings settings;
    settings.method = preset::fedavg;
    return std::make_unique<WorldProblem<RegressionWorld>>(world_of(s, *kernels), settings, 1);
}

Personalisation personalisation_of(const DecentralisedSettings& s) {
    const bool own = s.method == DecentralisedMethod::spdb || s.personal_for_all;
    return {.steps = 50,
            .rate = own ? s.bilevel.personal_rate : s.step,
            .personal_layers_only = own && !s.personal_layers.empty()};
}
Personalisation personalisation_of(const PdboSettings& s) {
    return {.steps = 20, .rate = s.outer_rate};
}
Personalisation personalisation_of(const RegressionRunSettings& s) {
    return {.steps = s.steps, .rate = s.inner_rate};
}

TrainedModel describe_regression(const RegressionRunSettings& s) {
    TrainedModel model;
    world_of(s, nullptr).describe(model);
    model.experiment = s.experiment;
    model.personal_is = personal_sentence(personalisation_of(s));
    return model;
}

}  // namespace dunlin
