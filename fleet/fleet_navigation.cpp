// SPDX-License-Identifier: Apache-2.0
#include "fleet/fleet_navigation.hpp"

#include "envs/map_file.hpp"
#include "fleet/federated_fleet.hpp"
#include "fleet/meta_trainer.hpp"
#include "fleet/navigation_nodes.hpp"
#include "fleet/reading.hpp"
#include "fleet/served_fleet.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>

#include <fmt/format.h>

namespace dunlin {
namespace {

using Clock = std::chrono::steady_clock;
using Policy = NavigationNodes::Policy;

class Run final : public FleetNavigation {
public:
    Run(const FleetNavigationSettings& settings, std::unique_ptr<NavigationNodes> nodes, int threads)
        : settings_(settings), nodes_(std::move(nodes)), workers_(threads) {
        for (std::uint32_t i = 0; i < nodes_->nodes(); ++i) optima_.push_back(nodes_->optimum(i));
    }

    Outcome<void> connect(int threads) {
        const std::vector<float> first = nodes_->first_parameters();
        const LearnerOf learner_of = [this](std::uint32_t node, int worker) -> Learner& {
            return nodes_->learner(node, worker);
        };
        if (settings_.method == FleetNavigationMethod::persafl_me) {
            return connect_to_server(first, learner_of);
        }
        const Outcome<Graph> graph = read_graph(graph_recipe(settings_), settings_.seed, "network", &notes_);
        if (!graph) return tl::unexpected(graph.error());
        std::vector<float> start;
        for (std::uint32_t i = 0; i < nodes_->nodes(); ++i) start.insert(start.end(), first.begin(), first.end());
        auto fleet = make_gossip_fleet(gossip_method(settings_.method), *graph, gossip_settings(settings_), start,
                                       learner_of, threads);
        if (!fleet) return tl::unexpected(fleet.error());
        fleet_ = *std::move(fleet);
        return {};
    }

    const DataNotes& notes() const override { return notes_; }
    const MlpShape& shape() const override { return nodes_->policy().network.shape; }

    Outcome<FleetNavigationOutcome> run(const FleetNavigationHooks& hooks) override {
        FleetNavigationOutcome outcome;
        for (std::uint32_t i = 0; i < nodes_->nodes(); ++i) outcome.task_names.push_back(nodes_->name(i));
        outcome.optimal_returns = optima_;
        const Clock::time_point begin = Clock::now();
        const bool served = settings_.method == FleetNavigationMethod::persafl_me;  // nothing to settle
        const std::int64_t rounds = std::int64_t{settings_.rounds} + (served ? 0 : settings_.settling_rounds);
        std::int64_t round = 0;
        for (; round < rounds && outcome.failure.empty() && !hooks.stop(); ++round) {
            if (Outcome<void> lived = fleet_->run(round); !lived) outcome.failure = lived.error().text;
            if (round % settings_.evaluate_every != 0 && round + 1 != rounds && outcome.failure.empty()) continue;
            outcome.history.push_back(row(round));
            if (Outcome<void> kept = hooks.keep(outcome.history.back(), false); !kept)
                return tl::unexpected(kept.error());
        }
        outcome.complete = round >= rounds && outcome.failure.empty();
        outcome.last = row(last_epoch);
        outcome.last.round = round;
        outcome.mass_error = fleet_->mass_error();
        outcome.counters = fleet_->counters();
        outcome.messages = fleet_->messages();
        outcome.trace = fleet_->trace();
        outcome.models = fleet_->estimates();
        // A server's fleet gives its one model for every node.
        if (settings_.method == FleetNavigationMethod::persafl_me) outcome.models.resize(fleet_->dimension());
        if (outcome.complete && settings_.centralised) {
            if (Outcome<void> done = run_centralised(outcome, hooks); !done) return tl::unexpected(done.error());
        }
        outcome.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
        return outcome;
    }

private:
    static constexpr std::uint64_t last_epoch = set_apart_epochs;

    FleetNavigationRow row(std::int64_t round) {
        const std::int64_t trained = environment_steps();
        FleetNavigationRow row{.round = round,
                               .wake_ups = fleet_->counters().wake_ups,
                               .environment_steps = trained,
                               .consensus_error = fleet_->consensus_error(),
                               .ratios = evaluate(fleet_->estimates(), evaluation_epoch(round))};
        evaluation_steps_ += environment_steps() - trained;
        return row;
    }

    Outcome<void> connect_to_server(ConstVector<float> first, const LearnerOf& learner_of) {
        auto fleet = make_served_fleet(federated_settings(settings_), settings_.seed, first, nodes_->nodes(),
                                       learner_of, workers_);
        if (!fleet) return tl::unexpected(fleet.error());
        fleet_ = *std::move(fleet);
        return {};
    }

    /// Sampled for training so far.
    std::int64_t environment_steps() const { return nodes_->environment_steps() - evaluation_steps_; }

    /// `models`: one for each node, or one for all.
    std::vector<double> evaluate(std::span<const float> models, std::uint64_t epoch) {
        const std::size_t d = nodes_->dimension();
        std::vector<double> ratios(nodes_->nodes());
        workers_.run(static_cast<int>(ratios.size()), [&](int piece, int worker) {
            const auto i = static_cast<std::size_t>(piece);
            const auto w = models.subspan(models.size() > d ? i * d : 0, d);
            ratios[i] = nodes_->ratio(static_cast<std::uint32_t>(piece), w, epoch, optima_[i], worker);
        });
        return ratios;
    }

    /// The same tasks in one process, MEMRL with all of them in every iteration, until as many environment steps
    /// were taken.
    Outcome<void> run_centralised(FleetNavigationOutcome& outcome, const FleetNavigationHooks& hooks) {
        MetaSettings meta;
        meta.task_batch = static_cast<int>(nodes_->nodes());
        meta.interpolation = settings_.interpolation;
        meta.inner = settings_.inner;
        MetaTrainer<GridNavigation, Policy> trainer(nodes_->policy(),
                                                    {.meta = meta,
                                                     .rollout = settings_.rollout,
                                                     .seed = settings_.seed,
                                                     .threads = workers_.count(),
                                                     .output_gain = settings_.output_gain},
                                                    nodes_->environments());
        const std::int64_t budget = outcome.last.environment_steps;
        while (trainer.environment_steps() < budget && !hooks.stop()) {
            if (const Result<void> done = trainer.iterate(); !done) {
                return problem(done.error(), fmt::format("the centralised run, iteration {}", trainer.iteration()));
            }
            const bool last = trainer.environment_steps() >= budget;
            if (trainer.iteration() % settings_.evaluate_every != 0 && !last) continue;
            const std::uint64_t epoch = last ? last_epoch : evaluation_epoch(trainer.iteration());
            outcome.centralised.push_back({.round = trainer.iteration(),
                                           .wake_ups = 0,
                                           .environment_steps = trainer.environment_steps(),
                                           .consensus_error = std::numeric_limits<double>::quiet_NaN(),
                                           .ratios = evaluate(trainer.parameters(), epoch)});
            if (Outcome<void> kept = hooks.keep(outcome.centralised.back(), true); !kept) return kept;
        }
        outcome.complete = trainer.environment_steps() >= budget;
        return {};
    }

    FleetNavigationSettings settings_;
    DataNotes notes_;
    std::unique_ptr<NavigationNodes> nodes_;
    std::vector<double> optima_;
    Workers workers_;
    std::unique_ptr<GossipFleet> fleet_;
    std::int64_t evaluation_steps_ = 0;
};

}  // namespace

double FleetNavigationRow::worst() const {
    // No comparison is true of NaN, so min_element would pass over a node whose policy is one.
    for (const double ratio : ratios) {
        if (std::isnan(ratio)) return ratio;
    }
    return *std::min_element(ratios.begin(), ratios.end());
}

double FleetNavigationRow::mean() const {
    return std::accumulate(ratios.begin(), ratios.end(), 0.0) / static_cast<double>(ratios.size());
}

GraphRecipe graph_recipe(const FleetNavigationSettings& s) {
    GraphRecipe recipe;
    recipe.kind = s.graph;
    recipe.nodes = static_cast<std::uint32_t>(s.nodes);
    recipe.probability = static_cast<double>(s.probability);
    recipe.path = s.graph_file;
    return recipe;
}

GossipMethod gossip_method(FleetNavigationMethod method) {
    switch (method) {
        case FleetNavigationMethod::stochastic_gradient_push:
            return GossipMethod::stochastic_gradient_push;
        case FleetNavigationMethod::dpsgd:
            return GossipMethod::dpsgd;
        default:
            return GossipMethod::pars_push;
    }
}

GossipSettings gossip_settings(const FleetNavigationSettings& s) {
    GossipSettings gossip;
    gossip.seed = s.seed;
    const double largest = static_cast<double>(s.interpolation) / static_cast<double>(s.inner.prox_weight);
    const auto offset = static_cast<double>(s.step_offset);
    gossip.theta = {offset > 0.0 ? largest * offset : largest, offset, s.wake_gap};
    gossip.format.fraction_bits = s.fraction_bits;
    gossip.largest_value = s.largest_value;
    gossip.weight_floor = s.weight_floor;
    gossip.link = simulation::LinkProfile::rounds(
        s.delay_limit,
        s.loss_limit < 0 ? simulation::LinkProfile::unbounded : static_cast<std::uint32_t>(s.loss_limit), s.loss);
    gossip.wake_gap = s.wake_gap;
    gossip.lives.up_mean = s.crash_gap;
    gossip.lives.down_mean = s.downtime;
    gossip.absences = s.absences;
    gossip.absences.graph = graph_recipe(s);
    gossip.learn_until = s.rounds;
    return gossip;
}

FederatedSettings federated_settings(const FleetNavigationSettings& s) {
    FederatedSettings federated;
    federated.method = FederatedMethod::persafl_me;
    federated.moreau = s.inner;
    federated.moreau_local_rate = s.local_interpolation / s.inner.prox_weight;
    federated.local_steps = s.local_steps;
    federated.server_rate = s.server_rate;
    federated.clock.loss = s.loss;
    federated.clock.patience_s = 100.0f;
    return federated;
}

Outcome<std::unique_ptr<FleetNavigation>> FleetNavigation::make(const FleetNavigationSettings& s, int threads) {
    if (s.nodes < 2) return problem("environment.nodes: a node alone agrees with nobody; simulate at least 2");
    auto nodes = NavigationNodes::make(s, threads);
    if (!nodes) return tl::unexpected(nodes.error());
    auto run = std::make_unique<Run>(s, *std::move(nodes), threads);
    if (Outcome<void> connected = run->connect(threads); !connected) return tl::unexpected(connected.error());
    return run;
}

std::span<const std::pair<std::string_view, std::string_view>> newer_fleet_navigation_settings() {
    static constexpr std::pair<std::string_view, std::string_view> newer[] = {
        {"environment.rows", "[]"},
        {"environment.start", "[]"},
        {"environment.slip_limit", "0.0"},
        {"policy.input", "\"one-hot\""},
        {"adaptation.baseline", "\"leave-one-out\""}};
    return newer;
}

Settings fleet_navigation_settings(FleetNavigationSettings& s) {
    using Range = Settings::Range;
    Settings list;
    list.add("kind", s.kind, "what kind of experiment this is");
    list.add("experiment", s.experiment, "name, for reports");
    list.add("kernels", s.kernels,
             "fast, reference (the same bits on every machine), or baseline, avx2, avx512, neon");
    list.add("seed", s.seed, "all randomness comes from it");

    list.add("environment.nodes", s.nodes, "nodes, each with a task of its own", Range{1, grid_task_limit});
    list.add_path("environment.map", s.map, "built-in map (empty-RxC, four-rooms, ...) or a MovingAI .map file",
                  is_built_in_map);
    list.add("environment.rows", s.rows, "a map of its own: '.' is free, '#' a wall; instead of map");
    list.add("environment.start", s.start, "[row, column]; [] for a random start", Range{0, 65535});
    list.add("environment.reward", s.reward, "sparse: 1 at the goal, which ends; dense: 1 - distance, no end",
             {{"sparse", Reward::sparse}, {"dense", Reward::dense}});
    list.add("environment.permute_actions", s.permute_actions, "each task permutes the five actions");
    list.add("environment.wind_limit", s.wind_limit, "tasks have wind up to this probability", Range{0, 1});
    list.add("environment.slip_limit", s.slip_limit, "tasks slip up to this probability", Range{0, 1});
    list.add("environment.horizon", s.horizon, "steps of a trajectory H", Range{1, 10000});
    list.add("environment.discount", s.discount, "gamma", Range{0, 1, true});

    list.add("policy.hidden", s.hidden, "widths of the hidden layers; [] is a table", Range{1, 4096});
    list.add("policy.activation", s.activation, "of the hidden layers",
             {{"tanh", Activation::tanh}, {"relu", Activation::relu}});
    list.add("policy.input", s.input, "what a policy sees",
             {{"one-hot", PolicyInput::one_hot}, {"coordinates", PolicyInput::coordinates}});
    list.add("policy.output_gain", s.output_gain, "scale of the last layer at the start", Range{0, 10});

    list.add("adaptation.prox_weight", s.inner.prox_weight, "lambda: pull towards the node's parameters",
             Range{0, 1e6, true});
    list.add("adaptation.inner_rate", s.inner.inner_rate, "beta: step size of the inner loop", Range{0, 1e3, true});
    list.add("adaptation.steps", s.inner.step_limit, "most steps of the inner loop", Range{1, 1000});
    list.add("adaptation.accuracy", s.inner.accuracy,
             "nu: the inner loop stops at this gradient norm; 0: at its step limit", Range{0, 1e6});
    list.add("adaptation.step_clip", s.inner.step_clip, "longest inner step, as a norm; 0: no limit",
             Range{0, 1e6});
    list.add("adaptation.trajectories", s.rollout.trajectories, "trajectories in a batch D", Range{2, 100000});
    list.add("adaptation.baseline", s.rollout.baseline, "what rewards to go are centred by",
             {{"none", Baseline::none}, {"leave-one-out", Baseline::leave_one_out}, {"linear", Baseline::linear}});

    list.add("network.graph", s.graph,
             "ring, directed-ring, exponential, complete, star, erdos-renyi, erdos-renyi-undirected, or file");
    list.add("network.probability", s.probability, "of each edge of an Erdos-Renyi graph", Range{0, 1, true});
    list.add_path("network.file", s.graph_file, "edge list, one \"from to\" a line, for graph = \"file\"");
    list.add("network.wake_gap", s.wake_gap, "Gamma_w: most rounds from one wake-up to the next", Range{1, 10000});
    list.add("network.delay_limit", s.delay_limit, "Gamma_d: most rounds that a message takes", Range{1, 10000});
    list.add("network.loss", s.loss, "probability that a message is lost", Range{0, 1});
    list.add("network.loss_limit", s.loss_limit, "Gamma_f: most losses in a row on a link; -1: no bound",
             Range{-1, 1e9});
    list.add("network.crash_gap", s.crash_gap, "mean rounds between a node's crashes; 0: none", Range{0, 1e9});
    list.add("network.downtime", s.downtime, "mean rounds until it restarts", Range{1, 1e9});
    add_absence_settings(list, s.absences);

    list.add("method.name", s.method, "how nodes agree; persafl-me has a server, the others have none",
             {{"pars-push", FleetNavigationMethod::pars_push},
              {"sgp", FleetNavigationMethod::stochastic_gradient_push},
              {"dpsgd", FleetNavigationMethod::dpsgd},
              {"persafl-me", FleetNavigationMethod::persafl_me}});
    list.add("method.rounds", s.rounds,
             "rounds in which nodes learn; persafl-me: as many updates a node, on average", Range{1, 1e6});
    list.add("method.settling_rounds", s.settling_rounds, "rounds after them in which they only agree",
             Range{0, 1e6});
    list.add("method.interpolation", s.interpolation, "eta lambda of one round, at the start", Range{0, 1, true});
    list.add("method.step_offset", s.step_offset, "t0: round t steps t0 / (t + t0) of that; 0: constant",
             Range{0, 1e9});
    list.add("method.local_steps", s.local_steps, "Q: local steps of an update of persafl-me", Range{1, 1000});
    list.add("method.local_interpolation", s.local_interpolation, "eta lambda of a local step of persafl-me",
             Range{0, 0.999, true});
    list.add("method.server_rate", s.server_rate, "beta of persafl-me: between 1/n and 5/n", Range{0, 10, true});
    list.add("method.fraction_bits", s.fraction_bits, "of the fixed point in which mass is kept", Range{8, 60});
    list.add("method.largest_value", s.largest_value, "a node whose parameters go beyond has diverged",
             Range{0, 1e9, true});
    list.add("method.weight_floor", s.weight_floor,
             "push-sum weight that a node never gives away; 0.01 where nodes crash or losses have no bound",
             Range{0, 0.25});

    list.add("report.evaluate_every", s.evaluate_every, "rounds between evaluations", Range{1, 1e6});
    list.add("report.adaptations", s.adaptations, "adaptations that an evaluation takes the mean of",
             Range{1, 100});
    list.add("report.centralised", s.centralised, "train in one process too, for as many environment steps");
    add_deployment_settings(list, s.deployment);
    return list;
}

}  // namespace dunlin
