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

/// With a server steps do not shrink: they are as large as the first one of a round.
FederatedSettings federated_settings(const RegressionRunSettings& s, const StepSchedule& theta) {
    FederatedSettings federated;
    federated.method = s.method;
    federated.maml = {.steps = s.steps, .inner_rate = s.inner_rate};
    federated.local_rate = federated.maml_local_rate = static_cast<float>(theta.at(0));
    s.serve(federated, s.data.agents);
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
        const auto nodes = static_cast<std::uint32_t>(agents_.all.size());
        const FleetRecipe recipe =
            settings_.recipe(federated_settings(settings_, theta_), nodes, settings_.seed, theta_);
        const std::vector<float> first(agents_.all.front().beta.size());
        auto fleet = make_any_fleet(recipe, first, nodes, learner_of, workers_, &notes_);
        if (!fleet) return tl::unexpected(fleet.error());
        fleet_ = *std::move(fleet);
        return {};
    }

    const DataNotes& notes() const override { return notes_; }

    Outcome<RegressionOutcome> run(const RegressionHooks& hooks) override {
        RegressionOutcome outcome;
        const Clock::time_point begin = Clock::now();
        Done done{.rounds = settings_.rounds};
        const auto seconds = [&] {
            return done.seconds + std::chrono::duration<double>(Clock::now() - begin).count();
        };
        if (hooks.goes_on()) {
            if (auto gone_on = go_on(hooks, done, outcome); !gone_on) return tl::unexpected(gone_on.error());
        }
        const auto save = [&](Saver& saver) {
            saver(done.round, std::int64_t{settings_.rounds}, seconds(), outcome.history, done.tail);
            fleet_->save(saver);
        };
        for (; done.round < settings_.rounds && outcome.failure.empty(); ++done.round) {
            const auto left_off = hooks.left_off(save);
            if (!left_off) return tl::unexpected(left_off.error());
            if (*left_off) break;
            const std::int64_t round = done.round;
            if (Outcome<void> lived = fleet_->run(round); !lived) outcome.failure = lived.error().text;
            const bool in_tail = round >= first_of_tail();
            if (!in_tail && !due(round) && outcome.failure.empty()) continue;
            const std::vector<double> errors = distances();
            if (in_tail) done.tail.push_back(errors);
            if (!due(round) && outcome.failure.empty()) continue;
            outcome.history.push_back(row(round, errors));
            if (Outcome<void> kept = hooks.keep(outcome.history.back()); !kept) return tl::unexpected(kept.error());
        }
        outcome.seconds = seconds();
        outcome.complete = done.round >= settings_.rounds && outcome.failure.empty();
        if (outcome.complete) {
            if (auto kept = hooks.checkpoint(save, true); !kept) return tl::unexpected(kept.error());
        }
        finish(outcome, done.tail);
        return outcome;
    }

private:
    /// How far a run has come.
    struct Done {
        std::int64_t round = 0;   ///< rounds that are over
        std::int64_t rounds = 0;  ///< of all, then
        double seconds = 0;
        std::vector<std::vector<double>> tail = {};  ///< the distances after each of the last rounds
    };

    std::int64_t first_of_tail() const {
        return std::max<std::int64_t>(0, settings_.rounds - RegressionOutcome::tail_rounds);
    }
    bool due(std::int64_t round) const {
        return round % settings_.evaluate_every == 0 || round + 1 == settings_.rounds;
    }

    /// Takes up an earlier part of the run. What it has because it ended is nothing of a longer one.
    Outcome<void> go_on(const RegressionHooks& hooks, Done& done, RegressionOutcome& outcome) {
        const auto restored = hooks.go_on([&](Loader& loader) -> Result<void> {
            loader(done.round, done.rounds, done.seconds, outcome.history, done.tail);
            for (const std::vector<double>& errors : done.tail) {
                if (errors.size() != agents_.all.size()) return wrong_size(errors.size(), agents_.all.size());
            }
            return fleet_->restore(loader);
        });
        if (!restored) return restored;
        if (auto fits = RunPauses::check_length("method.rounds", settings_.rounds, done.round); !fits) return fits;
        const bool ended = done.round == done.rounds, longer = settings_.rounds > done.rounds;
        if (ended && longer && !outcome.history.empty() && !due(outcome.history.back().round))
            outcome.history.pop_back();
        const std::int64_t wanted = std::max<std::int64_t>(0, done.round - first_of_tail());
        if (settings_.rounds != done.rounds && wanted > std::ssize(done.tail)) {
            return refuse(
                fmt::format("method.rounds = {}: a run is judged by its last {} rounds, of which {} are over "
                            "without having been "
                            "judged; give {} or more",
                            settings_.rounds, RegressionOutcome::tail_rounds, wanted - std::ssize(done.tail),
                            done.round + RegressionOutcome::tail_rounds - std::ssize(done.tail)));
        }
        const auto kept = std::clamp<std::int64_t>(wanted, 0, std::ssize(done.tail));
        done.tail.erase(done.tail.begin(), done.tail.end() - static_cast<std::ptrdiff_t>(kept));
        for (const RegressionRow& row : outcome.history) {
            if (auto again = hooks.keep(row); !again) return again;
        }
        return {};
    }

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
        for (std::size_t i = 0; i < outcome.node_errors.size(); ++i) {
            std::vector<double> own;
            for (const std::vector<double>& errors : tail) {
                if (!std::isnan(errors[i])) own.push_back(errors[i]);  // of when it was there
            }
            if (!own.empty()) outcome.node_errors[i] = median(std::move(own));
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
    if (!kernels) return refuse(kernels.error(), "kernels = \"" + settings.kernels + "\"");
    if (Result<void> checked = check(settings.data); !checked) return refuse(checked.error(), "environment");
    const Objective objective = settings.method.objective;
    if (objective != Objective::plain && objective != Objective::maml)
        return refuse(
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

}  // namespace dunlin
