// SPDX-License-Identifier: Apache-2.0
#include "training/problems/federated_learners.hpp"
#include "training/runs/federated_course.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dunlin {
namespace {

/// Any fleet, by rounds.
class RoundCourse final : public FederatedCourse {
public:
    RoundCourse(FederatedProblem& problem, const FederatedTerms& terms, const PersonalLayers& layers,
                std::unique_ptr<GossipFleet> fleet)
        : problem_(problem), terms_(terms), layers_(layers), fleet_(std::move(fleet)) {}

    Outcome<void> advance(double share, const std::function<bool()>& stop) override {
        const std::int64_t target = std::llround(share * length());
        // Of the first round there is something to show in any case.
        while (done_ < target && failure_.empty() && (done_ == 0 || !stop())) {
            if (auto lived = fleet_->run(done_); !lived) failure_ = lived.error().text;
            ++done_;
        }
        return {};
    }
    double reached() const override { return static_cast<double>(done_) / length(); }
    void describe(FederatedRow& row) override {
        const GossipCounters counters = fleet_->counters();
        row.round = done_ - 1;
        row.updates = row.version = static_cast<std::uint64_t>(counters.wake_ups);
        row.gradients = counters.gradients;
        row.messages_lost = static_cast<std::int64_t>(fleet_->messages().lost);
        row.consensus_error =
            terms_.rounds->shares ? fleet_->consensus_error() : std::numeric_limits<double>::quiet_NaN();
    }
    void save(Saver& saver) const override {
        saver(done_);
        fleet_->save(saver);
    }
    Result<void> restore(Loader& loader) override {
        loader(done_);
        return fleet_->restore(loader);
    }
    void report(FederatedResult& result) const override {
        result.failure = failure_;
        result.gossip = fleet_->counters();
        result.counters.applied = static_cast<std::uint64_t>(result.gossip.wake_ups);
        result.counters.gradients = result.gossip.gradients;
        result.messages = fleet_->messages();
        result.edges = fleet_->edges();
        result.mass_error = fleet_->mass_error();
        result.trace = fleet_->trace();
    }
    void attend(FederatedProblem& problem) const override {
        std::vector<std::uint8_t> present;
        for (std::uint32_t i = 0; i < fleet_->nodes(); ++i) present.push_back(fleet_->present(i) ? 1 : 0);
        problem.attend(present);
    }
    void shared(std::uint32_t node, Vector<float> w) const override {
        if (terms_.settings.method.aggregation == AggregationName::global) return fleet_->estimate(node, w);
        std::vector<float> x(layers_.split().shared_size());
        fleet_->estimate(node, x);
        layers_.compose(node, x, w);
    }
    void personal(std::uint32_t node, Stream& random, Vector<float> theta, int worker) override {
        if (!layers_.keeps_models()) shared(node, theta);
        make_personal(problem_, layers_, terms_.judging.personal, node, random, theta, worker);
    }

private:
    double length() const { return static_cast<double>(terms_.rounds->rounds); }

    FederatedProblem& problem_;
    FederatedTerms terms_;
    const PersonalLayers& layers_;
    std::unique_ptr<GossipFleet> fleet_;
    std::int64_t done_ = 0;  ///< rounds that are over
    std::string failure_;
};

}  // namespace

Outcome<std::unique_ptr<FederatedCourse>> make_round_course(FederatedProblem& problem, const FederatedTerms& terms,
                                                            const std::vector<float>& first, PersonalLayers& layers,
                                                            Workers& workers, DataNotes& notes) {
    if (problem.nodes() < 2)
        return refuse("environment.nodes: a node alone agrees with nobody; simulate at least 2");
    const FederatedSettings& learning = terms.settings;
    const bool whole = learning.method.aggregation == AggregationName::global;
    auto fleet =
        terms.fleet ? terms.fleet(layers, workers)
                    : make_any_fleet(terms.rounds->recipe, whole ? first : layers.shared_of(first), problem.nodes(),
                                     learner_of(problem, learning, layers, workers.count()), workers, &notes);
    if (!fleet) return tl::unexpected(fleet.error());
    return std::make_unique<RoundCourse>(problem, terms, layers, *std::move(fleet));
}

}  // namespace dunlin
