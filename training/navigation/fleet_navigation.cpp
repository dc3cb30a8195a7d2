// SPDX-License-Identifier: Apache-2.0
#include "training/navigation/fleet_navigation.hpp"

#include "envs/map_file.hpp"
#include "training/navigation/meta_trainer.hpp"
#include "training/navigation/navigation_nodes.hpp"
#include "training/problems/federated_learners.hpp"
#include "training/simulation/any_fleet.hpp"

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
    Run(const FleetNavigationSettings& settings, std::unique_ptr<NavigationNodes> nodes, int threads,
        RankGroup& ranks)
        : settings_(settings),
          nodes_(std::move(nodes)),
          layers_(nodes_->split(), nodes_->nodes(), nodes_->first_parameters()),
          workers_(threads, ranks) {
        for (std::uint32_t i = 0; i < nodes_->nodes(); ++i) optima_.push_back(nodes_->optimum(i));
    }

    Outcome<void> connect() {
        notes_ = nodes_->notes();
        const FederatedSettings learning = federated_settings(settings_);
        const std::vector<float> first = nodes_->first_parameters();
        if (learning.objective() == Objective::ditto) {
            if (auto kept = keep_own_models(layers_, learning, first); !kept) return kept;
        }
        const FleetRecipe recipe{.by = settings_.method.aggregation,
                                 .graph = graph_recipe(settings_),
                                 .gossip = gossip_settings(settings_),
                                 .federated = learning,
                                 .trace = settings_.trace,
                                 .tick_ms = settings_.tick_ms};
        const bool whole = settings_.method.aggregation == AggregationName::global;
        auto made =
            make_any_fleet(recipe, whole ? first : layers_.shared_of(first), nodes_->nodes(),
                           learner_of(nodes_->problem(), learning, layers_, workers_.count()), workers_, &notes_);
        if (!made) return tl::unexpected(made.error());
        fleet_ = *std::move(made);
        return {};
    }

    const DataNotes& notes() const override { return notes_; }
    const MlpShape& shape() const override { return nodes_->policy().network.shape; }

    Outcome<FleetNavigationOutcome> run(const FleetNavigationHooks& hooks) override {
        FleetNavigationOutcome outcome;
        for (std::uint32_t i = 0; i < nodes_->nodes(); ++i) outcome.task_names.push_back(nodes_->name(i));
        outcome.optimal_returns = optima_;
        Done done{.rounds = rounds()};
        const Clock::time_point begin = Clock::now();
        const auto seconds = [&] {
            return done.seconds + std::chrono::duration<double>(Clock::now() - begin).count();
        };
        if (hooks.goes_on()) {
            if (auto gone_on = go_on(hooks, done, outcome); !gone_on) return tl::unexpected(gone_on.error());
        }
        const auto save = [&](Saver& saver) {
            saver(done.round, rounds(), std::int64_t{settings_.rounds}, environment_steps(), seconds(),
                  outcome.history, outcome.centralised, done.centralised);
            fleet_->save(saver);
            if (!keeps_something()) return;
            layers_.known_to_all(workers_.ranks());
            saver(layers_);
        };
        for (; done.round < rounds() && outcome.failure.empty(); ++done.round) {
            const auto left_off = hooks.left_off(save);
            if (!left_off) return tl::unexpected(left_off.error());
            if (*left_off) break;
            if (Outcome<void> lived = fleet_->run(done.round); !lived) outcome.failure = lived.error().text;
            if (!due(done.round) && outcome.failure.empty()) continue;
            outcome.history.push_back(row(done.round));
            if (Outcome<void> kept = hooks.keep(outcome.history.back(), false); !kept)
                return tl::unexpected(kept.error());
        }
        outcome.complete = done.round >= rounds() && outcome.failure.empty();
        outcome.last = row(last_epoch);
        outcome.last.round = done.round;
        outcome.mass_error = fleet_->mass_error();
        outcome.counters = fleet_->counters();
        outcome.messages = fleet_->messages();
        outcome.trace = fleet_->trace();
        outcome.models = models();
        // There it is one model for every node.
        if (has_one_model(settings_.method.aggregation) && !keeps_something())
            outcome.models.resize(fleet_->dimension());
        // MEMRL, so there is nothing to compare another objective with, or what nodes keep.
        if (outcome.complete && settings_.centralised && settings_.method.objective == Objective::moreau &&
            !keeps_something()) {
            if (Outcome<void> ran = run_centralised(outcome, hooks, save, done.centralised); !ran)
                return tl::unexpected(ran.error());
        }
        outcome.seconds = seconds();
        if (outcome.complete) {
            if (auto kept = hooks.checkpoint(save, true); !kept) return tl::unexpected(kept.error());
        }
        return outcome;
    }

private:
    static constexpr std::uint64_t last_epoch = set_apart_epochs;

    /// How far a run has come.
    struct Done {
        std::int64_t round = 0;     ///< rounds that are over
        std::int64_t rounds = 0;    ///< of all, then
        std::int64_t learning = 0;  ///< of them, those in which nodes learn
        double seconds = 0;
        std::optional<MetaTrainerState> centralised = {};
    };

    std::int64_t rounds() const {
        const bool settles = has_neighbours(settings_.method.aggregation);
        return std::int64_t{settings_.rounds} + (settles ? settings_.settling_rounds : 0);
    }
    bool due(std::int64_t round) const { return round % settings_.evaluate_every == 0 || round + 1 == rounds(); }

    /// Takes up an earlier part of the run. Rows that it has because it ended are none of a longer one.
    Outcome<void> go_on(const FleetNavigationHooks& hooks, Done& done, FleetNavigationOutcome& outcome) {
        std::int64_t steps = 0;
        const auto restored = hooks.go_on([&](Loader& loader) -> Result<void> {
            loader(done.round, done.rounds, done.learning, steps, done.seconds, outcome.history,
                   outcome.centralised, done.centralised);
            if (auto fleet = fleet_->restore(loader); !fleet || !keeps_something()) return fleet;
            loader(layers_);
            if (loader.ok() && !layers_.fits(nodes_->nodes(), layers_.keeps_models()))
                return wrong_size(layers_.split().personal_size(), nodes_->dimension());
            return {};
        });
        if (!restored) return restored;
        // What was sampled before is the first rank's.
        evaluation_steps_ = nodes_->environment_steps() - (workers_.ranks().leads() ? steps : 0);
        if (auto fits = RunPauses::check_length("method.rounds, with method.settling_rounds", rounds(), done.round);
            !fits)
            return fits;
        // Rounds in which nodes learned cannot become such in which they settle.
        if (auto fits =
                RunPauses::check_length("method.rounds", settings_.rounds, std::min(done.round, done.learning));
            !fits)
            return fits;
        const bool longer = done.round == done.rounds && rounds() > done.rounds;
        if (longer && !outcome.history.empty() && !due(outcome.history.back().round)) outcome.history.pop_back();
        // Of the centralised run, too, if it had ended: it goes on to as many environment steps as the fleet took.
        if (longer && !outcome.centralised.empty() && done.centralised &&
            outcome.centralised.back().round == done.centralised->iteration)
            outcome.centralised.pop_back();
        for (const FleetNavigationRow& row : outcome.history) {
            if (auto kept = hooks.keep(row, false); !kept) return kept;
        }
        return {};
    }

    FleetNavigationRow row(std::int64_t round) {
        return {.round = round,
                .wake_ups = fleet_->counters().wake_ups,
                .environment_steps = environment_steps(),
                .consensus_error = fleet_->consensus_error(),
                .ratios = evaluate(models(), evaluation_epoch(round))};
    }

    /// Is there anything that stays with a node?
    bool keeps_something() const { return layers_.split().has_personal() || layers_.keeps_models(); }

    /// What each node has: the model that it kept beside the shared one, or the shared one with its own layers.
    std::vector<float> models() {
        std::vector<float> shared = fleet_->estimates();
        if (!keeps_something() || settings_.method.aggregation == AggregationName::global) return shared;
        layers_.known_to_all(workers_.ranks());
        const std::size_t d = nodes_->dimension(), x = layers_.split().shared_size();
        std::vector<float> all(nodes_->nodes() * d);
        for (std::uint32_t i = 0; i < nodes_->nodes(); ++i) {
            const Vector<float> w = Vector<float>(all).subspan(i * d, d);
            if (layers_.keeps_models())
                std::ranges::copy(std::as_const(layers_).model_of(i), w.begin());
            else
                layers_.compose(i, ConstVector<float>(shared).subspan(i * x, x), w);
        }
        return all;
    }

    /// Sampled for training so far, on all ranks.
    std::int64_t environment_steps() const {
        std::int64_t steps = 0;
        workers_.ranks().in_turn(std::span(&steps, 1),
                                 [&] { steps += nodes_->environment_steps() - evaluation_steps_; });
        return steps;
    }

    /// `models`: one for each node, or one for all.
    std::vector<double> evaluate(std::span<const float> models, std::uint64_t epoch) {
        const std::size_t d = nodes_->dimension();
        const std::int64_t before = nodes_->environment_steps();
        std::vector<double> ratios(nodes_->nodes());
        const RankGroup::Block own = workers_.ranks().block(nodes_->nodes());
        workers_.run(static_cast<int>(own.size()), [&](int piece, int worker) {
            const std::uint32_t node = own.first + static_cast<std::uint32_t>(piece);
            const std::size_t i = node;
            const auto w = models.subspan(models.size() > d ? i * d : 0, d);
            ratios[i] = nodes_->ratio(node, w, epoch, optima_[i], worker);
        });
        workers_.ranks().share(std::span(ratios), nodes_->nodes());
        evaluation_steps_ += nodes_->environment_steps() - before;
        return ratios;
    }

    /// The same tasks in one process, MEMRL with all of them in every iteration, until as many environment steps
    /// were taken. `saved` is the trainer's state so far, and what `save` saves of it.
    Outcome<void> run_centralised(FleetNavigationOutcome& outcome, const FleetNavigationHooks& hooks,
                                  const RunPauses::Save& save, std::optional<MetaTrainerState>& saved) {
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
        if (saved) {
            if (auto restored = trainer.restore(*saved); !restored)
                return refuse(restored.error(), "checkpoint.dunlin, the centralised run");
        }
        const auto save_all = [&](Saver& saver) {
            saved = trainer.save();
            save(saver);
        };
        const std::int64_t budget = outcome.last.environment_steps;
        for (const FleetNavigationRow& row : outcome.centralised) {
            if (Outcome<void> kept = hooks.keep(row, true); !kept) return kept;
        }
        const auto judge = [&]() -> Outcome<void> {
            const bool last = trainer.environment_steps() >= budget;
            if (trainer.iteration() % settings_.evaluate_every != 0 && !last) return {};
            const std::uint64_t epoch = last ? last_epoch : evaluation_epoch(trainer.iteration());
            outcome.centralised.push_back({.round = trainer.iteration(),
                                           .wake_ups = 0,
                                           .environment_steps = trainer.environment_steps(),
                                           .consensus_error = std::numeric_limits<double>::quiet_NaN(),
                                           .ratios = evaluate(trainer.parameters(), epoch)});
            return hooks.keep(outcome.centralised.back(), true);
        };
        // Where a run that had ended goes on, its last row was another one.
        if (trainer.iteration() > 0 &&
            (outcome.centralised.empty() || outcome.centralised.back().round < trainer.iteration())) {
            if (Outcome<void> judged = judge(); !judged) return judged;
        }
        while (trainer.environment_steps() < budget) {
            const auto left_off = hooks.left_off(save_all);
            if (!left_off) return tl::unexpected(left_off.error());
            if (*left_off) break;
            if (const Result<void> done = trainer.iterate(); !done) {
                return refuse(done.error(), fmt::format("the centralised run, iteration {}", trainer.iteration()));
            }
            if (Outcome<void> judged = judge(); !judged) return judged;
        }
        saved = trainer.save();
        outcome.complete = trainer.environment_steps() >= budget;
        return {};
    }

    FleetNavigationSettings settings_;
    DataNotes notes_;
    std::unique_ptr<NavigationNodes> nodes_;
    PersonalLayers layers_;
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

Outcome<std::unique_ptr<FleetNavigation>> FleetNavigation::make(const FleetNavigationSettings& s, int threads,
                                                                RankGroup& ranks) {
    if (s.nodes < 2) return refuse("environment.nodes: a node alone agrees with nobody; simulate at least 2");
    if (const std::string refusal = refusal_of(s.method); !refusal.empty())
        return refuse(fmt::format("objective.name = {}, aggregation.name = {}: {}", name_of(s.method.objective),
                                  name_of(s.method.aggregation), refusal));
    const FederatedSettings federated = federated_settings(s);
    if (s.method.aggregation == AggregationName::fedprox && federated.rate() * federated.fedprox_weight >= 1.0f)
        return refuse(
            fmt::format("{} with aggregation.name = fedprox, which pulls with adaptation.prox_weight = {}: "
                        "their product must stay below 1, or steps overshoot",
                        s.method.objective == Objective::moreau
                            ? fmt::format("method.local_interpolation = {}", s.local_interpolation)
                            : fmt::format("method.rate = {}", s.rate),
                        s.inner.prox_weight));
    auto nodes = NavigationNodes::make(s, threads);
    if (!nodes) return tl::unexpected(nodes.error());
    auto run = std::make_unique<Run>(s, *std::move(nodes), threads, ranks);
    if (Outcome<void> connected = run->connect(); !connected) return tl::unexpected(connected.error());
    return run;
}

}  // namespace dunlin
