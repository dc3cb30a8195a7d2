// SPDX-License-Identifier: Apache-2.0
#include "training/runs/regression_training.hpp"

#include "core/adapt/maml.hpp"
#include "envs/regression_optimum.hpp"
#include "training/host/host_memory.hpp"
#include "training/simulation/any_fleet.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include <fmt/format.h>

namespace dunlin {
namespace {

using Clock = std::chrono::steady_clock;

/// The agents of a run, with their coefficients.
struct Agents {
    std::vector<float> beta;
    std::vector<RegressionAgent> all;

    explicit Agents(const RegressionRunSettings& s) {
        const auto d = static_cast<std::size_t>(s.data.dimension);
        beta.resize(static_cast<std::size_t>(s.data.agents) * d);
        for (int i = 0; i < s.data.agents; ++i) {
            const std::span<float> own = std::span(beta).subspan(static_cast<std::size_t>(i) * d, d);
            all.push_back(draw_agent(s.data, s.seed, i, own));
        }
    }
};

/// What one thread computes with; it serves any agent.
struct Bench {
    HostMemory memory;
    Arena arena;
    LinearRegression<float> task;
    TaskLearner<LinearRegression<float>, Maml> learner;

    Bench(const RegressionRunSettings& s, const Maml& maml, const Kernels<float>* kernels)
        : memory(LinearRegression<float>::bytes(s.data.dimension, s.data.batch, maml.slots())),
          arena(memory.bytes()),
          task(s.data.dimension, s.data.batch, maml.slots(), arena),
          learner(task, maml) {
        task.kernels = kernels;
    }
};

/// theta(t) = c / (t + t0) where the settings leave it to the curvature: each Hessian of F_i^(u) is a multiple of
/// the identity, so one component of a gradient difference is its curvature.
StepSchedule schedule(const RegressionRunSettings& s, const RegressionObjective& objective, const Agents& agents) {
    double mean = 0, largest = 0;
    std::vector<double> z(agents.all.front().beta.size());
    for (const RegressionAgent& agent : agents.all) {
        z[0] = 0;
        const double at_zero = objective.gradient(agent, z)[0];
        z[0] = 1;
        const double curvature = objective.gradient(agent, z)[0] - at_zero;
        mean += curvature / static_cast<double>(agents.all.size());
        largest = std::max(largest, curvature);
    }
    StepSchedule theta;
    theta.scale = s.step_scale > 0.0f ? static_cast<double>(s.step_scale) : 2.0 / mean;
    theta.offset = s.step_offset > 0.0f ? static_cast<double>(s.step_offset) : 20.0 * theta.scale * largest;
    return theta;
}

GraphRecipe recipe_of(const RegressionRunSettings& s) {
    return {.kind = s.graph,
            .nodes = static_cast<std::uint32_t>(s.data.agents),
            .probability = static_cast<double>(s.probability),
            .path = s.graph_file};
}

GossipSettings fleet_settings(const RegressionRunSettings& s, const StepSchedule& theta) {
    GossipSettings fleet;
    fleet.seed = s.seed;
    fleet.theta = theta;
    fleet.format.fraction_bits = s.fraction_bits;
    fleet.largest_value = s.largest_value;
    fleet.weight_floor = s.weight_floor;
    fleet.link = simulation::LinkProfile::rounds(
        s.delay_limit,
        s.loss_limit < 0 ? simulation::LinkProfile::unbounded : static_cast<std::uint32_t>(s.loss_limit), s.loss);
    fleet.link.duplication = s.duplication;
    fleet.wake_gap = s.wake_gap;
    fleet.lives.up_mean = s.crash_gap;
    fleet.lives.down_mean = s.downtime;
    fleet.absences = s.absences;
    fleet.absences.graph = recipe_of(s);
    return fleet;
}

/// With a server steps do not shrink: they are as large as the first one of a round.
FederatedSettings federated_settings(const RegressionRunSettings& s, const StepSchedule& theta) {
    FederatedSettings federated;
    federated.method = s.method;
    federated.maml = {.steps = s.steps, .inner_rate = s.inner_rate};
    federated.local_rate = federated.maml_local_rate = static_cast<float>(theta.at(0));
    federated.local_steps = s.local_steps;
    federated.server_rate = s.server_rate;
    federated.buffer_size = std::min(federated.buffer_size, s.data.agents);
    federated.clock.loss = s.loss;
    federated.clock.duplication = s.duplication;
    federated.clock.patience_s = 100.0f;
    return federated;
}

double median(std::vector<double> values) {
    const auto middle = values.begin() + std::ssize(values) / 2;
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

class Training final : public RegressionTraining {
public:
    Training(const RegressionRunSettings& settings, const Kernels<float>* kernels, int threads)
        : settings_(settings),
          agents_(settings),
          objective_{settings.steps, static_cast<double>(settings.inner_rate), settings.data.batch},
          optimum_(objective_.minimiser(agents_.all)),
          theta_(schedule(settings, objective_, agents_)),
          workers_(threads) {
        const Maml maml{.steps = settings.steps, .inner_rate = settings.inner_rate};
        for (int worker = 0; worker < threads; ++worker) {
            benches_.push_back(std::make_unique<Bench>(settings, maml, kernels));
        }
    }

    Outcome<void> connect() {
        const auto learner_of = [this](std::uint32_t node, int worker) -> Learner& {
            Bench& bench = *benches_[static_cast<std::size_t>(worker)];
            bench.task.agent = agents_.all[node];
            return bench.learner;
        };
        const FleetRecipe recipe{.by = settings_.method.aggregation,
                                 .graph = recipe_of(settings_),
                                 .gossip = fleet_settings(settings_, theta_),
                                 .federated = federated_settings(settings_, theta_),
                                 .trace = settings_.trace,
                                 .tick_ms = settings_.tick_ms};
        const auto nodes = static_cast<std::uint32_t>(agents_.all.size());
        const std::vector<float> first(agents_.all.front().beta.size());
        auto fleet = make_any_fleet(recipe, first, nodes, learner_of, workers_, &notes_);
        if (!fleet) return tl::unexpected(fleet.error());
        fleet_ = *std::move(fleet);
        return {};
    }

    const DataNotes& notes() const override { return notes_; }

    Outcome<RegressionOutcome> run(const RegressionHooks& hooks) override {
        RegressionOutcome outcome;
        std::vector<std::vector<double>> tail(agents_.all.size());
        const Clock::time_point begin = Clock::now();
        std::int64_t round = 0;
        for (; round < settings_.rounds && outcome.failure.empty() && !hooks.stop(); ++round) {
            if (Outcome<void> lived = fleet_->run(round); !lived) outcome.failure = lived.error().text;
            const bool in_tail = round >= settings_.rounds - RegressionOutcome::tail_rounds;
            const bool shown = round % settings_.evaluate_every == 0 || round + 1 == settings_.rounds;
            if (!in_tail && !shown && outcome.failure.empty()) continue;
            const std::vector<double> errors = distances();
            for (std::size_t i = 0; in_tail && i < errors.size(); ++i) {
                if (fleet_->present(static_cast<std::uint32_t>(i))) tail[i].push_back(errors[i]);
            }
            if (!shown && outcome.failure.empty()) continue;
            outcome.history.push_back(row(round, errors));
            if (Outcome<void> kept = hooks.keep(outcome.history.back()); !kept) return tl::unexpected(kept.error());
        }
        outcome.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
        outcome.complete = round >= settings_.rounds && outcome.failure.empty();
        finish(outcome, tail);
        return outcome;
    }

private:
    /// Of every node from the minimiser for those who are present, relative; NaN for who is not.
    std::vector<double> distances() {
        std::vector<std::uint8_t> present;
        for (std::uint32_t i = 0; i < fleet_->nodes(); ++i) present.push_back(fleet_->present(i));
        if (present_ != present) {
            present_ = present;
            std::vector<RegressionAgent> all;
            for (std::size_t i = 0; i < present.size(); ++i) {
                if (present[i] != 0) all.push_back(agents_.all[i]);
            }
            optimum_ = objective_.minimiser(all);
        }
        const std::vector<float> models = fleet_->estimates();
        std::vector<double> distances;
        for (std::size_t i = 0; i < present.size(); ++i) {
            const auto model = std::span(models).subspan(i * optimum_.size(), optimum_.size());
            distances.push_back(present[i] != 0 ? worst_relative_error(model, optimum_)
                                                : std::numeric_limits<double>::quiet_NaN());
        }
        return distances;
    }

    RegressionRow row(std::int64_t round, std::vector<double> errors) const {
        std::erase_if(errors, [](double error) { return std::isnan(error); });
        const GossipCounters counters = fleet_->counters();
        return {.round = round,
                .wake_ups = counters.wake_ups,
                .gradients = counters.gradients,
                .messages_lost = static_cast<std::int64_t>(fleet_->messages().lost),
                .worst_error = *std::max_element(errors.begin(), errors.end()),
                .median_error = median(errors),
                .consensus_error = fleet_->consensus_error()};
    }

    void finish(RegressionOutcome& outcome, const std::vector<std::vector<double>>& tail) {
        outcome.step_scale = theta_.scale;
        outcome.step_offset = theta_.offset;
        outcome.edges = fleet_->edges();
        outcome.models = fleet_->estimates();
        outcome.node_errors = distances();
        for (std::size_t i = 0; i < tail.size(); ++i) {
            if (!tail[i].empty()) outcome.node_errors[i] = median(tail[i]);
        }
        for (const double error : outcome.node_errors) {
            if (error > outcome.max_relative_error) outcome.max_relative_error = error;  // not of who is not there
        }
        outcome.mass_error = fleet_->mass_error();
        outcome.consensus_error = fleet_->consensus_error();
        outcome.counters = fleet_->counters();
        outcome.messages = fleet_->messages();
        outcome.trace = fleet_->trace();
    }

    RegressionRunSettings settings_;
    DataNotes notes_;
    Agents agents_;
    RegressionObjective objective_;
    std::vector<double> optimum_;
    std::vector<std::uint8_t> present_;  ///< whose optimum it is; empty: all
    StepSchedule theta_;
    Workers workers_;
    std::vector<std::unique_ptr<Bench>> benches_;
    std::unique_ptr<GossipFleet> fleet_;
};

}  // namespace

Outcome<std::unique_ptr<RegressionTraining>> RegressionTraining::make(const RegressionRunSettings& settings,
                                                                      int threads) {
    const Result<const Kernels<float>*> kernels = find_kernels(settings.kernels);
    if (!kernels) return problem(kernels.error(), "kernels = \"" + settings.kernels + "\"");
    if (Result<void> checked = check(settings.data); !checked) return problem(checked.error(), "environment");
    const Objective objective = settings.method.objective;
    if (objective != Objective::plain && objective != Objective::maml)
        return problem(
            fmt::format("objective.name = {}: regression knows the exact minimiser, by which it judges, of "
                        "plain and maml alone",
                        name_of(objective)));
    RegressionRunSettings run = settings;
    if (objective == Objective::plain) run.steps = 0;
    auto training = std::make_unique<Training>(run, *kernels, threads);
    if (Outcome<void> connected = training->connect(); !connected) return tl::unexpected(connected.error());
    return training;
}

double personalised_error(const RegressionRunSettings& s, std::span<const float> models, int steps) {
    constexpr int repeats = 20;
    const Agents agents(s);
    const Maml step{.steps = 0, .inner_rate = s.inner_rate};
    Bench bench(s, step, &generic_kernels<float>());
    const auto d = static_cast<std::size_t>(s.data.dimension);
    std::vector<float> z(d), next(d);
    double sum = 0;
    for (std::size_t i = 0; i < agents.all.size(); ++i) {
        const RegressionAgent& agent = agents.all[i];
        bench.task.agent = agent;
        Stream random(s.seed, static_cast<std::uint32_t>(i), Purpose::evaluate);
        for (int repeat = 0; repeat < repeats; ++repeat) {
            std::ranges::copy(models.subspan(i * d, d), z.begin());
            for (int r = 0; r < steps; ++r) {
                bench.task.draw(0, z, random);
                step.step<float>(bench.task, 0, z, next);
                std::swap(z, next);
            }
            double distance = 0;
            for (std::size_t k = 0; k < d; ++k) {
                const double difference = static_cast<double>(z[k]) - static_cast<double>(agent.beta[k]);
                distance += difference * difference;
            }
            const double scale = static_cast<double>(agent.feature_scale), noise = static_cast<double>(agent.noise);
            sum += scale * scale * distance + noise * noise;
        }
    }
    return sum / (repeats * static_cast<double>(agents.all.size()));
}

Settings regression_settings(RegressionRunSettings& s) {
    using Range = Settings::Range;
    Settings list;
    list.add("kind", s.kind, "what kind of experiment this is");
    list.add("experiment", s.experiment, "name, for reports");
    list.add("kernels", s.kernels,
             "fast, reference (the same bits on every machine), or baseline, avx2, avx512, neon");
    list.add("seed", s.seed, "all randomness comes from it");

    list.add("environment.agents", s.data.agents, "n", Range{2, 100000});
    list.add("environment.dimension", s.data.dimension, "d", Range{1, regression_dimension_limit});
    list.add("environment.batch", s.data.batch, "b: samples in a batch", Range{1, regression_batch_limit});
    list.add("environment.noise", s.data.noise, "sigma: deviation of the observations", Range{0, 1000});
    list.add("environment.spread", s.data.spread, "deviation of each agent's coefficients from the common ones",
             Range{0, 1000});
    list.add("environment.group_shift", s.data.group_shift,
             "what the first half of the agents has more of a common shift and the second less", Range{0, 1000});
    list.add("environment.first_feature_scale", s.data.feature_scale[0], "deviation of features, first half",
             Range{0, 1000});
    list.add("environment.second_feature_scale", s.data.feature_scale[1], "deviation of features, second half",
             Range{0, 1000});

    list.add("adaptation.steps", s.steps, "u: steps of MAML; 0: plain", Range{0, Maml::step_limit});
    list.add("adaptation.inner_rate", s.inner_rate, "alpha: size of these steps", Range{0, 10});

    list.add("network.graph", s.graph,
             "ring, directed-ring, exponential, complete, star, erdos-renyi, erdos-renyi-undirected, or file");
    list.add("network.probability", s.probability, "of each edge of an Erdos-Renyi graph", Range{0, 1, true});
    list.add_path("network.file", s.graph_file, "edge list, one \"from to\" a line, for graph = \"file\"");
    list.add("network.wake_gap", s.wake_gap, "Gamma_w: most rounds from one wake-up to the next", Range{1, 10000});
    list.add("network.delay_limit", s.delay_limit, "Gamma_d: most rounds that a message takes", Range{1, 10000});
    list.add("network.loss", s.loss, "probability that a message is lost", Range{0, 1});
    list.add("network.loss_limit", s.loss_limit, "Gamma_f: most losses in a row on a link; -1: no bound",
             Range{-1, 1e9});
    list.add("network.duplication", s.duplication, "probability that a message arrives twice", Range{0, 1});
    list.add("network.crash_gap", s.crash_gap,
             "mean rounds between a node's crashes (see method.weight_floor); 0: none", Range{0, 1e9});
    list.add("network.downtime", s.downtime, "mean rounds until it restarts", Range{1, 1e9});
    add_absence_settings(list, s.absences);
    add_trace_settings(list, s.trace, s.tick_ms);

    auto names = with_neighbours(Objective::maml);
    names.insert(names.end(), {{"persafl-maml", preset::persafl_maml},
                               {"per-fedavg", preset::per_fedavg},
                               {"local", {Objective::maml, AggregationName::local}},
                               {"global", {Objective::maml, AggregationName::global}}});
    list.add_preset(
        "method.name", s.method,
        "a method with MAML, which is an objective.name and an aggregation.name; write these instead for "
        "any other pair",
        std::move(names), {"objective.name", "aggregation.name"});
    add_axes(list, s.method);
    list.add("method.rounds", s.rounds, "T; with a server: as many updates a node, on average", Range{1, 1e9});
    list.add("method.local_steps", s.local_steps, "with a server: Q, local steps of an update", Range{1, 1000});
    list.add("method.server_rate", s.server_rate, "beta of persafl: between 1/n and 5/n", Range{0, 10, true});
    list.add("method.step_scale", s.step_scale, "c of theta(t) = c / (t + t0); 0: 2 / mean curvature",
             Range{0, 1e6});
    list.add("method.step_offset", s.step_offset, "t0; 0: 20 c times the largest curvature", Range{0, 1e9});
    list.add("method.fraction_bits", s.fraction_bits, "of the fixed point in which mass is kept", Range{8, 60});
    list.add("method.largest_value", s.largest_value, "a node whose parameters go beyond has diverged",
             Range{0, 1e9, true});
    list.add("method.weight_floor", s.weight_floor,
             "push-sum weight that a node never gives away; 0.01 where nodes crash or losses have no bound",
             Range{0, 0.25});

    list.add("report.evaluate_every", s.evaluate_every, "rounds between rows of metrics.csv", Range{1, 1e6});
    list.add("report.personalisation", s.personalisation,
             "train for the budgets 1 to 5 and plain too, and compare");
    list.add("report.robustness", s.robustness, "train with fewer faults and by plain push too, and compare");
    return list;
}

}  // namespace dunlin
