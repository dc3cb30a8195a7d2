// SPDX-License-Identifier: Apache-2.0
#include "fleet/jobs/node_task.hpp"

#include "fleet/jobs/experiments.hpp"
#include "training/models/model_file.hpp"
#include "training/problems/federated_learners.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace dunlin {
namespace {

/// What a task keeps with its node.
class KeepingTask : public NodeTask {
public:
    Learner& learner() override { return learner_(node_, 0); }
    std::vector<float> kept() const override {
        std::vector<float> all(layers_.kept_size());
        layers_.take_kept(node_, all);
        return all;
    }
    void put_kept(ConstVector<float> kept) override { layers_.put_kept(node_, kept); }

protected:
    KeepingTask(FederatedProblem& problem, const FederatedSettings& settings, PersonalLayers layers,
                std::uint32_t node)
        : layers_(std::move(layers)), learner_(learner_of(problem, settings, layers_, 1)), node_(node) {}

    /// What a problem's node keeps, as it begins. Errors: keep_beside's.
    static Outcome<PersonalLayers> layers_of(const FederatedProblem& problem, const FederatedSettings& settings,
                                             std::uint32_t node) {
        std::vector<float> first(problem.dimension());
        problem.initialise(first);
        PersonalLayers layers(problem.split(), 1, first, node);
        if (auto kept = keep_beside(layers, settings, first); !kept) return tl::unexpected(kept.error());
        return layers;
    }

    PersonalLayers layers_;  ///< this node's
    LearnerOf learner_;
    std::uint32_t node_;  ///< its number in the problem
};

class ProblemTask final : public KeepingTask {
public:
    /// Errors: keep_beside's.
    static Outcome<std::unique_ptr<NodeTask>> make(std::unique_ptr<FederatedProblem> data,
                                                   ProblemExperiment experiment, const JobTerms& terms) {
        const std::uint32_t node = experiment.nodes_bring_data() ? 0 : terms.member;
        auto layers = layers_of(*data, experiment.learning(), node);
        if (!layers) return tl::unexpected(layers.error());
        return std::unique_ptr<NodeTask>(
            new ProblemTask(std::move(data), std::move(experiment), terms, node, *std::move(layers)));
    }

    std::span<const Metric> measure(ConstVector<float> x) override {
        theta_.resize(data_->dimension());
        // The same draws every time: how often a model was measured before says nothing about it.
        Stream random(experiment_.settings().seed, member_, Purpose::evaluate);
        FleetScore score;
        for (int repeat = 0; repeat < (judging_.personal.steps > 0 ? judging_.repeats : 1); ++repeat) {
            layers_.compose(node_, x, theta_);
            make_personal(*data_, layers_, judging_.personal, node_, random, theta_, 0);
            score.add(data_->judge(node_, theta_, 0));
        }
        judged_ = data_->node_metrics(node_, score);
        if (const std::int64_t steps = data_->environment_steps(); steps > 0)
            judged_.push_back({"environment_steps", "environment steps", static_cast<double>(steps)});
        metrics_.clear();
        for (const FleetMetric& metric : judged_) metrics_.push_back({metric.key, metric.value});
        return metrics_;
    }
    std::string personal_file() const override {
        TrainedModel own = experiment_.description(*data_);
        const std::vector<std::string> names = data_->description().nodes;
        own.shared_is = "a job's model, made its own by " + (bring_data() ? "this node" : names[node_]);
        own.nodes.clear();
        own.parameters = theta_;
        if (own.config.empty()) own.config = document_;
        return own.bytes();
    }
    DataNotes notes() const override { return bring_data() ? data_->notes() : DataNotes{}; }

private:
    ProblemTask(std::unique_ptr<FederatedProblem> data, ProblemExperiment experiment, const JobTerms& terms,
                std::uint32_t node, PersonalLayers layers)
        : KeepingTask(*data, experiment.learning(), std::move(layers), node),
          data_(std::move(data)),
          experiment_(std::move(experiment)),
          document_(terms.experiment),
          judging_(experiment_.judging(*data_)),
          member_(terms.member) {
        if (traits_of(experiment_.settings().federated.objective()).kept != Kept::nothing)
            judging_.personal.steps = 0;
    }

    bool bring_data() const { return experiment_.nodes_bring_data(); }

    std::unique_ptr<FederatedProblem> data_;
    ProblemExperiment experiment_;
    std::string document_;
    Judging judging_;
    std::uint32_t member_;
    std::vector<float> theta_;
    std::vector<FleetMetric> judged_;
    std::vector<Metric> metrics_;
};

using Made = Outcome<std::unique_ptr<NodeTask>>;

Made wrong_shape(std::size_t has, const JobTerms& terms) {
    return refuse(fmt::format("the job has {} parameters, its experiment {}", terms.dimension, has));
}

Made make(ProblemExperiment experiment, const JobTerms& terms, const std::string& own_data) {
    const bool own = experiment.nodes_bring_data();
    if (own && own_data.empty())
        return refuse(
            "the job is learned from data of the nodes' own, and this node has none; start it with "
            "dunlin-node run --data FILE");
    auto data = make_problem(experiment, own_data);
    if (!data) return tl::unexpected(data.error());
    const std::size_t shared = (*data)->split().shared_size();
    if (shared != terms.dimension) return wrong_shape(shared, terms);
    if (!own && terms.member >= (*data)->nodes())
        return refuse("the data are of fewer nodes than the job has members");
    return ProblemTask::make(*std::move(data), std::move(experiment), terms);
}

}  // namespace

Made make_node_task(const JobTerms& terms) {
    return make_node_task_with({}, terms);
}

Made make_node_task_with(const std::string& own_data, const JobTerms& terms) {
    auto settings = read_deployed(terms.experiment, "the job's experiment");
    if (!settings) return tl::unexpected(settings.error());
    return make(*std::move(settings), terms, own_data);
}

}  // namespace dunlin
