// SPDX-License-Identifier: Apache-2.0
#include "training/runs/federated_training.hpp"

#include "training/problems/personal_layers.hpp"
#include "training/runs/federated_learners.hpp"
#include "training/simulation/federated_clock.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

namespace dunlin {
namespace {

/// How a run lives on between two evaluations, and what there is to judge.
class Course {
public:
    virtual ~Course() = default;
    /// Lives until `share` of the whole is over.
    virtual Outcome<void> advance(double share, const std::function<bool()>& stop) = 0;
    virtual void describe(FederatedRow& row) const = 0;
    /// What is known of the fleet so far.
    virtual void report(FederatedResult&) const {}
    /// Writes the model that a node was given, with its own personal layers.
    virtual void shared(std::uint32_t node, Vector<float> w) const = 0;
    /// Writes a node's personal model.
    virtual void personal(std::uint32_t node, Stream& random, Vector<float> theta, int worker) = 0;
};

/// A course whose nodes make what they share their own, each on its data.
class SharingCourse : public Course {
public:
    void personal(std::uint32_t node, Stream& random, Vector<float> theta, int worker) override {
        if (layers_.keeps_models()) return (void)std::ranges::copy(layers_.model_of(node), theta.begin());
        std::vector<float> w(theta.size());
        shared(node, w);
        std::ranges::copy(w, theta.begin());
        problem_.personalise(node, w, settings_.personal, random, theta, worker);
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
        before_ = fleet_->counters();
        before_s_ = now_s_;
        now_s_ = share * static_cast<double>(settings_.clock.budget_s);
        return fleet_->advance(now_s_, stop);
    }
    void describe(FederatedRow& row) const override {
        const FleetCounters& counters = fleet_->counters();
        row.time_s = now_s_;
        row.updates = counters.applied;
        row.version = fleet_->version();
        row.gradients = counters.gradients;
        const auto updates = static_cast<double>(counters.applied - before_.applied);
        if (updates > 0) row.staleness = static_cast<double>(counters.staleness - before_.staleness) / updates;
        if (now_s_ > before_s_)
            row.active = (counters.busy_s - before_.busy_s) / (now_s_ - before_s_) / fleet_->clients();
    }
    void report(FederatedResult& result) const override {
        result.counters = fleet_->counters();
        result.staleness.assign(fleet_->staleness_counts().begin(), fleet_->staleness_counts().end());
        result.trace = fleet_->trace();
    }
    void shared(std::uint32_t node, Vector<float> w) const override { layers_.compose(node, fleet_->model(), w); }

private:
    std::unique_ptr<FederatedFleet> fleet_;
    FleetCounters before_;
    double before_s_ = 0, now_s_ = 0;
};

/// Nodes among themselves: every node takes one gradient of its objective after the other, each at its own pace, and
/// says what it has after each.
class GossipCourse final : public SharingCourse {
public:
    static Outcome<std::unique_ptr<GossipCourse>> make(FederatedProblem& problem, const FederatedSettings& settings,
                                                       const PersonalLayers& layers, std::span<const float> first,
                                                       std::uint64_t seed, LearnerOf learner, int threads) {
        const AggregationName by = settings.method.aggregation;
        const Outcome<Graph> graph = settings.push.draw(problem.nodes(), seed, by);
        if (!graph) return tl::unexpected(graph.error());
        const Outcome<float> floor = settings.push.floor_for(graph->largest_out_degree());
        if (!floor) return tl::unexpected(floor.error());
        const GossipClock clock(settings);
        const GossipSettings fleet = clock.settings_of(settings, seed, *floor);
        std::vector<float> start;
        for (std::uint32_t i = 0; i < problem.nodes(); ++i) start.insert(start.end(), first.begin(), first.end());
        auto made = make_gossip_fleet(by, *graph, fleet, start, std::move(learner), threads);
        if (!made) return tl::unexpected(made.error());
        return std::unique_ptr<GossipCourse>(new GossipCourse(problem, settings, layers, *std::move(made), clock));
    }

    Outcome<void> advance(double share, const std::function<bool()>& stop) override {
        now_s_ = share * static_cast<double>(settings_.clock.budget_s);
        const simulation::Time until = clock_.ticks(now_s_);
        constexpr simulation::Time stride = 20 * GossipClock::median_ticks;  // between two looks at `stop`
        while (tick_ < until && !stop()) {
            tick_ = std::min(tick_ + stride, until);
            if (auto lived = fleet_->run(tick_); !lived) return lived;
        }
        return {};
    }
    void describe(FederatedRow& row) const override {
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
            workers_.run(static_cast<int>(models_.size()), [&](int piece, int worker) {
                const auto k = static_cast<std::size_t>(piece);
                const auto node = is_local() ? static_cast<std::uint32_t>(piece) : FederatedProblem::everybody;
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
    void describe(FederatedRow& row) const override {
        row.gradients = std::accumulate(costs_.begin(), costs_.end(), std::int64_t{0});
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
class BaselineCourse final : public Course {
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
            workers_.run(static_cast<int>(models_.size()), [&](int piece, int worker) {
                const auto k = static_cast<std::size_t>(piece);
                const auto node = is_local() ? static_cast<std::uint32_t>(piece) : FederatedProblem::everybody;
                problem_.personalise(node, first_, how, streams_[k], models_[k], worker);
            });
            steps_ += how.steps;
        }
        return {};
    }
    void describe(FederatedRow& row) const override {
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

std::vector<double> values(const std::vector<FleetMetric>& metrics) {
    std::vector<double> list;
    for (const FleetMetric& metric : metrics) list.push_back(metric.value);
    return list;
}

/// What a node's personalisation draws from for one row.
Stream judging_stream(std::uint64_t seed, std::uint32_t node, std::size_t row) {
    Stream random(seed, node, Purpose::evaluate);
    constexpr std::uint64_t epochs = 1u << 20;  // more than the steps of any personalisation
    random.seek_epoch(row * epochs);
    return random;
}

/// Judges the shared and all personal models, in parallel, and appends the row.
void judge(FederatedProblem& problem, Course& course, std::uint64_t seed, Workers& workers,
           FederatedResult& result) {
    std::vector<FleetScore> shared(problem.nodes()), personal(problem.nodes());
    std::vector<std::vector<float>> theta(static_cast<std::size_t>(workers.count()),
                                          std::vector<float>(problem.dimension()));
    workers.run(static_cast<int>(problem.nodes()), [&](int piece, int worker) {
        const auto node = static_cast<std::uint32_t>(piece);
        Stream random = judging_stream(seed, node, result.history.size());
        const Vector<float> own(theta[static_cast<std::size_t>(worker)]);
        course.shared(node, own);
        shared[node] = problem.judge(node, own, worker);
        course.personal(node, random, own, worker);
        personal[node] = problem.judge(node, own, worker);
    });
    FleetScore shared_sum, personal_sum;
    for (const FleetScore& score : shared) shared_sum.add(score);
    for (const FleetScore& score : personal) personal_sum.add(score);
    result.personal_by_node.clear();
    for (const FleetScore& score : personal) {
        if (score.count > 0) result.personal_by_node.push_back(problem.metrics(score).front().value);
    }
    FederatedRow row;
    course.describe(row);
    row.shared = values(problem.metrics(shared_sum));
    row.personal = values(problem.metrics(personal_sum));
    result.history.push_back(std::move(row));
}

/// The models as the last row judged them.
void keep_models(FederatedProblem& problem, Course& course, std::uint64_t seed, FederatedResult& result) {
    const std::size_t d = problem.dimension();
    std::vector<double> sum(d);
    std::vector<float> w(d);
    const bool kept = d * problem.nodes() <= FederatedResult::personal_limit;
    for (std::uint32_t node = 0; node < problem.nodes(); ++node) {
        course.shared(node, w);
        for (std::size_t k = 0; k < d; ++k) sum[k] += static_cast<double>(w[k]) / problem.nodes();
        if (!kept) continue;
        Stream random = judging_stream(seed, node, result.history.size() - 1);
        course.personal(node, random, w, 0);
        result.personal_models.insert(result.personal_models.end(), w.begin(), w.end());
    }
    result.shared_model.assign(sum.begin(), sum.end());
}

/// `first` is a whole model.
Outcome<std::unique_ptr<Course>> make_course(FederatedProblem& problem, const FederatedSettings& settings,
                                             std::uint64_t seed, const std::vector<float>& first,
                                             PersonalLayers& layers, Workers& workers) {
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
                                  workers.count());
    }
    auto fleet = FederatedFleet::make(settings, seed, layers.shared_of(first), problem.samples(),
                                      std::move(learner), workers);
    if (!fleet) return tl::unexpected(fleet.error());
    return std::make_unique<FleetCourse>(problem, settings, layers, *std::move(fleet));
}

}  // namespace

Outcome<void> train_federated(FederatedProblem& problem, const FederatedSettings& settings, std::uint64_t seed,
                              Workers& workers, const std::function<bool()>& stop, const FederatedKeep& keep,
                              FederatedResult& result) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<float> first(problem.dimension());
    problem.initialise(first);
    PersonalLayers layers(problem.split(), problem.nodes(), first);
    if (traits_of(settings.objective()).kept == Kept::model) {
        if (auto kept = keep_own_models(layers, settings, first); !kept) return kept;
    }
    if (auto fit = settings.check(problem.nodes()); !fit) return fit;
    FederatedSettings traced = settings;
    if (auto followed = follow_trace(traced, problem.nodes()); !followed) return followed;
    auto course = make_course(problem, traced, seed, first, layers, workers);
    if (!course) return tl::unexpected(course.error());
    for (const FleetMetric& metric : problem.metrics({.count = 1, .sums = {}})) {
        result.metric_keys.push_back(metric.key);
        result.metric_titles.push_back(metric.title);
    }
    for (int k = 0; k <= settings.evaluations; ++k) {
        if (auto done = (*course)->advance(static_cast<double>(k) / settings.evaluations, stop); !done) return done;
        if (stop() && k > 0) break;
        judge(problem, **course, seed, workers, result);
        (*course)->report(result);
        result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        result.complete = k == settings.evaluations;
        if (auto kept = keep(result); !kept) return kept;
    }
    keep_models(problem, **course, seed, result);
    return {};
}

}  // namespace dunlin
