// SPDX-License-Identifier: Apache-2.0
#include "training/runs/federated_course.hpp"

#include "training/problems/federated_learners.hpp"
#include "training/simulation/federated_clock.hpp"

#include <algorithm>
#include <numeric>
#include <type_traits>

#include <fmt/format.h>

namespace dunlin {
namespace {

/// A course whose nodes make what they share their own, each on its data.
class SharingCourse : public FederatedCourse {
public:
    void personal(std::uint32_t node, Stream& random, Vector<float> theta, int worker) override {
        if (!layers_.keeps_models()) shared(node, theta);
        make_personal(problem_, layers_, settings_.personal, node, random, theta, worker);
    }

protected:
    SharingCourse(FederatedProblem& problem, const FederatedSettings& settings, const PersonalLayers& layers)
        : settings_(settings), layers_(layers), problem_(problem) {
        settings_.personal = settings.personalisation(layers.split().has_personal());
    }

    FederatedSettings settings_;
    const PersonalLayers& layers_;

private:
    FederatedProblem& problem_;
};

class FleetCourse final : public SharingCourse {
public:
    FleetCourse(FederatedProblem& problem, const FederatedSettings& settings, const PersonalLayers& layers,
                std::unique_ptr<FederatedFleet> fleet)
        : SharingCourse(problem, settings, layers), fleet_(std::move(fleet)) {}

    Outcome<void> advance(double share, const std::function<bool()>& stop) override {
        now_s_ = share * static_cast<double>(settings_.clock.budget_s);
        return fleet_->advance(now_s_, stop);
    }
    double reached() const override { return fleet_->reached_s() / static_cast<double>(settings_.clock.budget_s); }
    void describe(FederatedRow& row) override {
        const FleetCounters& counters = fleet_->counters();
        row.time_s = now_s_;
        row.updates = counters.applied;
        row.version = fleet_->version();
        row.gradients = counters.gradients;
        const auto updates = static_cast<double>(counters.applied - before_.applied);
        if (updates > 0) row.staleness = static_cast<double>(counters.staleness - before_.staleness) / updates;
        if (now_s_ > before_s_)
            row.active = (counters.busy_s - before_.busy_s) / (now_s_ - before_s_) / fleet_->clients();
        before_ = counters;
        before_s_ = now_s_;
    }
    void save(Saver& saver) const override {
        saver(before_, before_s_, now_s_);
        fleet_->save(saver);
    }
    Result<void> restore(Loader& loader) override {
        loader(before_, before_s_, now_s_);
        return fleet_->restore(loader);
    }
    void report(FederatedResult& result) const override {
        result.counters = fleet_->counters();
        result.undefended = fleet_->undefended();
        result.staleness.assign(fleet_->staleness_counts().begin(), fleet_->staleness_counts().end());
        result.trace = fleet_->trace();
    }
    void shared(std::uint32_t node, Vector<float> w) const override { layers_.compose(node, fleet_->model(), w); }

private:
    std::unique_ptr<FederatedFleet> fleet_;
    FleetCounters before_;  ///< at the row before
    double before_s_ = 0, now_s_ = 0;
};

/// Nodes among themselves: every node takes one gradient of its objective after the other, each at its own pace, and
/// says what it has after each.
class GossipCourse final : public SharingCourse {
public:
    static Outcome<std::unique_ptr<GossipCourse>> make(FederatedProblem& problem, const FederatedSettings& settings,
                                                       const PersonalLayers& layers, std::span<const float> first,
                                                       std::uint64_t seed, LearnerOf learner, Workers& workers,
                                                       DataNotes& notes) {
        const AggregationName by = settings.method.aggregation;
        const Outcome<Graph> graph = settings.push.draw(problem.nodes(), seed, by, &notes);
        if (!graph) return tl::unexpected(graph.error());
        const Outcome<float> floor = settings.push.floor_for(graph->largest_out_degree());
        if (!floor) return tl::unexpected(floor.error());
        const GossipClock clock(settings);
        const GossipSettings fleet = clock.settings_of(settings, seed, *floor);
        std::vector<float> start;
        for (std::uint32_t i = 0; i < problem.nodes(); ++i) start.insert(start.end(), first.begin(), first.end());
        auto made =
            make_gossip_fleet(by, *graph, fleet, start, std::move(learner), workers.count(), workers.ranks());
        if (!made) return tl::unexpected(made.error());
        return std::unique_ptr<GossipCourse>(new GossipCourse(problem, settings, layers, *std::move(made), clock));
    }

    Outcome<void> advance(double share, const std::function<bool()>& stop) override {
        now_s_ = share * static_cast<double>(settings_.clock.budget_s);
        const simulation::Time until = clock_.ticks(now_s_);
        constexpr simulation::Time stride = 20 * GossipClock::median_ticks;  // between two looks at `stop`
        while (tick_ < until && !stop()) {
            tick_ = std::min(tick_ + stride, until);
            if (auto lived = fleet_->run(tick_); !lived) {
                Failure wrong = std::move(lived.error());
                wrong.text += fmt::format("; try a smaller {}", settings_.rate_key());
                return tl::unexpected(std::move(wrong));
            }
        }
        return {};
    }
    double reached() const override {
        return static_cast<double>(tick_) * clock_.tick_s / static_cast<double>(settings_.clock.budget_s);
    }
    void save(Saver& saver) const override {
        saver(tick_);
        fleet_->save(saver);
    }
    Result<void> restore(Loader& loader) override {
        loader(tick_);
        return fleet_->restore(loader);
    }
    void describe(FederatedRow& row) override {
        row.time_s = now_s_;
        row.updates = row.version = static_cast<std::uint64_t>(fleet_->counters().wake_ups);
        row.gradients = fleet_->counters().gradients;
        row.active = 1.0;
    }
    void report(FederatedResult& result) const override {
        result.counters.applied = static_cast<std::uint64_t>(fleet_->counters().wake_ups);
        result.counters.gradients = fleet_->counters().gradients;
        result.consensus_error = fleet_->consensus_error();
        result.mass_error = fleet_->mass_error();
        result.trace = fleet_->trace();
    }
    void shared(std::uint32_t node, Vector<float> w) const override {
        std::vector<float> z(fleet_->dimension());
        fleet_->estimate(node, z);
        layers_.compose(node, z, w);
    }

private:
    GossipCourse(FederatedProblem& problem, const FederatedSettings& settings, const PersonalLayers& layers,
                 std::unique_ptr<GossipFleet> fleet, const GossipClock& clock)
        : SharingCourse(problem, settings, layers), fleet_(std::move(fleet)), clock_(clock) {}

    std::unique_ptr<GossipFleet> fleet_;
    GossipClock clock_;
    double now_s_ = 0;
    simulation::Time tick_ = 0;
};

/// Are these as many models of d parameters, each with its stream?
Result<void> check_models(const Loader& loader, const std::vector<std::vector<float>>& models,
                          const std::vector<Stream>& streams, std::size_t count, std::size_t d) {
    if (!loader.ok()) return {};
    if (models.size() != count || streams.size() != count) return wrong_size(models.size(), count);
    for (const std::vector<float>& model : models) {
        if (model.size() != d) return wrong_size(model.size(), d);
    }
    return {};
}

/// Those that are learned here: of a model that is all ranks' every rank makes the same.
RankGroup::Block own_models(const RankGroup& ranks, std::size_t models) {
    return models == 1 ? RankGroup::Block{0, 1} : ranks.block(static_cast<std::uint32_t>(models));
}

/// For a checkpoint: what each rank knows of its own all know then.
template <class T>
std::vector<T> known_to_all(RankGroup& ranks, std::vector<T> all) {
    if (all.size() == 1) return all;
    if constexpr (std::is_trivially_copyable_v<T>)
        ranks.share(std::span(all), static_cast<std::uint32_t>(all.size()));
    else
        ranks.share(all);
    return all;
}

/// The same with another objective than the plain one: what is learned is a model to be made one's own.
class AloneCourse final : public SharingCourse {
public:
    AloneCourse(FederatedProblem& problem, const FederatedSettings& settings, const PersonalLayers& layers,
                ConstVector<float> first, std::uint64_t seed, LearnerOf learner, Workers& workers)
        : SharingCourse(problem, settings, layers),
          learner_(std::move(learner)),
          workers_(workers),
          models_(settings.method.aggregation == AggregationName::local ? problem.nodes() : 1,
                  std::vector<float>(first.begin(), first.end())),
          costs_(models_.size()) {
        for (std::uint32_t k = 0; k < models_.size(); ++k) streams_.emplace_back(seed, k, Purpose::samples);
    }

    Outcome<void> advance(double share, const std::function<bool()>& stop) override {
        const int target = static_cast<int>(share * settings_.baseline_steps);
        constexpr int stride = 50;  // steps between two looks at `stop`
        while (steps_ < target && !stop()) {
            const int steps = std::min(stride, target - steps_);
            const RankGroup::Block own = own_models(workers_.ranks(), models_.size());
            workers_.run(static_cast<int>(own.size()), [&](int piece, int worker) {
                const std::size_t k = own.first + static_cast<std::size_t>(piece);
                const auto node = is_local() ? static_cast<std::uint32_t>(k) : FederatedProblem::everybody;
                std::vector<float>& w = models_[k];
                std::vector<float> gradient(w.size());
                for (int step = 0; step < steps; ++step) {
                    Learner& learner = learner_(node, worker);
                    costs_[k] += learner.given(w, streams_[k]);
                    costs_[k] += learner.gradient(w, streams_[k], gradient);
                    for (std::size_t j = 0; j < w.size(); ++j) w[j] -= settings_.baseline_rate * gradient[j];
                }
            });
            steps_ += steps;
        }
        return {};
    }
    double reached() const override { return static_cast<double>(steps_) / settings_.baseline_steps; }
    void save(Saver& saver) const override {
        RankGroup& ranks = workers_.ranks();
        saver(steps_, known_to_all(ranks, models_), known_to_all(ranks, costs_), known_to_all(ranks, streams_));
    }
    Result<void> restore(Loader& loader) override {
        const std::size_t models = models_.size(), d = models_.front().size();
        loader(steps_, models_, costs_, streams_);
        if (loader.ok() && costs_.size() != models) return wrong_size(costs_.size(), models);
        return check_models(loader, models_, streams_, models, d);
    }
    void describe(FederatedRow& row) override {
        const std::vector<std::int64_t> costs = known_to_all(workers_.ranks(), costs_);
        row.gradients = std::accumulate(costs.begin(), costs.end(), std::int64_t{0});
        row.time_s = static_cast<double>(settings_.clock.gradient_s) * static_cast<double>(row.gradients) /
                     static_cast<double>(models_.size());
        row.active = 1.0;
    }
    void shared(std::uint32_t node, Vector<float> w) const override {
        if (!is_local()) return (void)std::ranges::copy(models_[0], w.begin());
        layers_.compose(node, models_[node], w);
    }

private:
    bool is_local() const { return settings_.method.aggregation == AggregationName::local; }

    LearnerOf learner_;
    Workers& workers_;
    std::vector<std::vector<float>> models_;  ///< what the layers do not keep
    std::vector<std::int64_t> costs_;
    std::vector<Stream> streams_;
    int steps_ = 0;
};

/// Each node alone, or one model on everybody's data: plain steps, all at median speed.
class BaselineCourse final : public FederatedCourse {
public:
    BaselineCourse(FederatedProblem& problem, const FederatedSettings& settings, std::uint64_t seed,
                   Workers& workers)
        : problem_(problem), settings_(settings), workers_(workers), first_(problem.dimension()) {
        problem.initialise(first_);
        const bool local = settings.method.aggregation == AggregationName::local;
        models_.assign(local ? problem.nodes() : 1, first_);
        for (std::uint32_t k = 0; k < models_.size(); ++k) streams_.emplace_back(seed, k, Purpose::samples);
    }

    Outcome<void> advance(double share, const std::function<bool()>& stop) override {
        const int target = static_cast<int>(share * settings_.baseline_steps);
        constexpr int stride = 50;  // steps between two looks at `stop`
        while (steps_ < target && !stop()) {
            const Personalisation how{std::min(stride, target - steps_), settings_.baseline_rate, 0.0f};
            const RankGroup::Block own = own_models(workers_.ranks(), models_.size());
            workers_.run(static_cast<int>(own.size()), [&](int piece, int worker) {
                const std::size_t k = own.first + static_cast<std::size_t>(piece);
                const auto node = is_local() ? static_cast<std::uint32_t>(k) : FederatedProblem::everybody;
                problem_.personalise(node, first_, how, streams_[k], models_[k], worker);
            });
            steps_ += how.steps;
        }
        return {};
    }
    double reached() const override { return static_cast<double>(steps_) / settings_.baseline_steps; }
    void save(Saver& saver) const override {
        saver(steps_, known_to_all(workers_.ranks(), models_), known_to_all(workers_.ranks(), streams_));
    }
    Result<void> restore(Loader& loader) override {
        const std::size_t models = models_.size();
        loader(steps_, models_, streams_);
        return check_models(loader, models_, streams_, models, first_.size());
    }
    void describe(FederatedRow& row) override {
        row.time_s = static_cast<double>(settings_.clock.gradient_s) * steps_;
        row.gradients = static_cast<std::int64_t>(models_.size()) * steps_;
        row.active = 1.0;
    }
    void shared(std::uint32_t, Vector<float> w) const override {
        std::ranges::copy(is_local() ? first_ : models_[0], w.begin());
    }
    void personal(std::uint32_t node, Stream&, Vector<float> theta, int) override {
        std::ranges::copy(models_[is_local() ? node : 0], theta.begin());
    }

private:
    bool is_local() const { return settings_.method.aggregation == AggregationName::local; }

    FederatedProblem& problem_;
    FederatedSettings settings_;
    Workers& workers_;
    std::vector<float> first_;
    std::vector<std::vector<float>> models_;
    std::vector<Stream> streams_;
    int steps_ = 0;
};

Outcome<std::unique_ptr<FederatedCourse>> by_the_clock(FederatedProblem& problem, const FederatedSettings& settings,
                                                       std::uint64_t seed, const std::vector<float>& first,
                                                       PersonalLayers& layers, Workers& workers, DataNotes& notes) {
    if (settings.baseline() && settings.objective() == Objective::plain)
        return std::make_unique<BaselineCourse>(problem, settings, seed, workers);
    LearnerOf learner = learner_of(problem, settings, layers, workers.count());
    if (settings.baseline()) {
        const bool local = settings.method.aggregation == AggregationName::local;
        return std::make_unique<AloneCourse>(problem, settings, layers, local ? layers.shared_of(first) : first,
                                             seed, std::move(learner), workers);
    }
    if (settings.gossips()) {
        return GossipCourse::make(problem, settings, layers, layers.shared_of(first), seed, std::move(learner),
                                  workers, notes);
    }
    auto fleet = FederatedFleet::make(settings, seed, layers.shared_of(first), problem.samples(),
                                      std::move(learner), workers);
    if (!fleet) return tl::unexpected(fleet.error());
    return std::make_unique<FleetCourse>(problem, settings, layers, *std::move(fleet));
}

}  // namespace

Outcome<std::unique_ptr<FederatedCourse>> make_course(FederatedProblem& problem, const FederatedTerms& terms,
                                                      const std::vector<float>& first, PersonalLayers& layers,
                                                      Workers& workers, DataNotes& notes) {
    if (terms.rounds) return make_round_course(problem, terms, first, layers, workers, notes);
    if (auto fit = terms.settings.check(problem.nodes()); !fit) return tl::unexpected(fit.error());
    FederatedSettings settings = terms.settings;
    DataNotes of_trace;
    if (auto followed = follow_trace(settings, problem.nodes(), &of_trace); !followed)
        return tl::unexpected(followed.error());
    auto course = by_the_clock(problem, settings, terms.seed, first, layers, workers, notes);
    notes.insert(notes.end(), of_trace.begin(), of_trace.end());
    return course;
}

}  // namespace dunlin
