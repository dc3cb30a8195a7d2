// SPDX-License-Identifier: Apache-2.0
#include "fleet/jobs/node_task.hpp"

#include "fleet/jobs/experiments.hpp"
#include "training/models/model_file.hpp"
#include "training/navigation/navigation_model.hpp"
#include "training/navigation/navigation_nodes.hpp"
#include "training/problems/federated_learners.hpp"

#include <algorithm>
#include <array>
#include <utility>

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

    /// What a problem's node keeps, as it begins. Errors: keep_own_models'.
    static Outcome<PersonalLayers> layers_of(const FederatedProblem& problem, const FederatedSettings& settings,
                                             std::uint32_t node) {
        std::vector<float> first(problem.dimension());
        problem.initialise(first);
        PersonalLayers layers(problem.split(), 1, first, node);
        if (traits_of(settings.objective()).kept == Kept::model) {
            if (auto kept = keep_own_models(layers, settings, first); !kept) return tl::unexpected(kept.error());
        }
        return layers;
    }

    PersonalLayers layers_;  ///< this node's
    LearnerOf learner_;
    std::uint32_t node_;  ///< its number in the problem
};

class NavigationTask final : public KeepingTask {
public:
    /// Errors: keep_own_models'.
    static Outcome<std::unique_ptr<NodeTask>> make(std::unique_ptr<NavigationNodes> nodes,
                                                   const FleetNavigationSettings& settings, const JobTerms& terms) {
        auto layers = layers_of(nodes->problem(), federated_settings(settings), terms.member);
        if (!layers) return tl::unexpected(layers.error());
        return std::unique_ptr<NodeTask>(
            new NavigationTask(std::move(nodes), settings, *std::move(layers), terms.member));
    }

    std::span<const Metric> measure(ConstVector<float> x) override {
        theta_.resize(nodes_->dimension());
        if (layers_.keeps_models())
            std::ranges::copy(std::as_const(layers_).model_of(node_), theta_.begin());
        else
            layers_.compose(node_, x, theta_);
        const double ratio = nodes_->ratio(node_, theta_, ++measured_, optimum_, 0);
        metrics_ = {Metric{"return_ratio", ratio}, Metric{"optimal_return", optimum_},
                    Metric{"environment_steps", static_cast<double>(nodes_->environment_steps())}};
        return metrics_;
    }
    std::string personal_file() const override {
        const ConstVector<float> theta = nodes_->personal(0);
        TrainedModel own =
            navigation_model(settings_, nodes_->policy().network.shape, {theta.begin(), theta.end()});
        own.shared_is = "what " + nodes_->name(node_) + " made its own of a job's model";
        return own.bytes();
    }
    DataNotes notes() const override { return nodes_->notes(); }

private:
    NavigationTask(std::unique_ptr<NavigationNodes> nodes, const FleetNavigationSettings& settings,
                   PersonalLayers layers, std::uint32_t node)
        : KeepingTask(nodes->problem(), federated_settings(settings), std::move(layers), node),
          nodes_(std::move(nodes)),
          settings_(settings),
          optimum_(nodes_->optimum(node)) {}

    std::unique_ptr<NavigationNodes> nodes_;
    FleetNavigationSettings settings_;
    double optimum_;
    std::uint64_t measured_ = 0;
    std::vector<float> theta_;
    std::array<Metric, 3> metrics_{};
};

class ProblemTask final : public KeepingTask {
public:
    /// Errors: keep_own_models'.
    static Outcome<std::unique_ptr<NodeTask>> make(std::unique_ptr<FederatedProblem> data,
                                                   const ProblemSettings& settings, const JobTerms& terms) {
        const std::uint32_t node = settings.source == DataSource::nodes ? 0 : terms.member;
        auto layers = layers_of(*data, settings.federated, node);
        if (!layers) return tl::unexpected(layers.error());
        return std::unique_ptr<NodeTask>(
            new ProblemTask(std::move(data), settings, terms, node, *std::move(layers)));
    }

    std::span<const Metric> measure(ConstVector<float> x) override {
        theta_.resize(data_->dimension());
        layers_.compose(node_, x, theta_);
        // The same draws every time: how often a model was measured before says nothing about it.
        Stream random = draws_;
        make_personal(*data_, layers_, personal_, node_, random, theta_, 0);
        judged_ = data_->metrics(data_->judge(node_, theta_, 0));
        metrics_.clear();
        for (const FleetMetric& metric : judged_) metrics_.push_back({metric.key, metric.value});
        return metrics_;
    }
    std::string personal_file() const override {
        TrainedModel own = data_->description();
        own.experiment = name_;
        own.shared_is = "a job's model, made its own by " + (own_ ? "this node" : own.nodes[node_]);
        own.personal_is = personal_sentence(personal_);
        own.nodes.clear();
        own.parameters = theta_;
        own.config = experiment_;
        return own.bytes();
    }
    DataNotes notes() const override { return own_ ? data_->notes() : DataNotes{}; }

private:
    ProblemTask(std::unique_ptr<FederatedProblem> data, const ProblemSettings& settings, const JobTerms& terms,
                std::uint32_t node, PersonalLayers layers)
        : KeepingTask(*data, settings.federated, std::move(layers), node),
          data_(std::move(data)),
          name_(settings.experiment),
          experiment_(terms.experiment),
          personal_(settings.federated.personalisation(layers_.split().has_personal())),
          own_(settings.source == DataSource::nodes),
          draws_(settings.seed, terms.member, Purpose::evaluate) {}

    std::unique_ptr<FederatedProblem> data_;
    std::string name_, experiment_;
    Personalisation personal_;
    bool own_;  ///< the data are this node's own
    Stream draws_;
    std::vector<float> theta_;
    std::vector<FleetMetric> judged_;
    std::vector<Metric> metrics_;
};

using Made = Outcome<std::unique_ptr<NodeTask>>;

Made wrong_shape(std::size_t has, const JobTerms& terms) {
    return refuse(fmt::format("the job has {} parameters, its experiment {}", terms.dimension, has));
}

Made make(const FleetNavigationSettings& settings, const JobTerms& terms, const std::string&) {
    auto nodes = NavigationNodes::make(settings, 1);
    if (!nodes) return tl::unexpected(nodes.error());
    const std::size_t shared = (*nodes)->split().shared_size();
    if (shared != terms.dimension) return wrong_shape(shared, terms);
    if (terms.member >= (*nodes)->nodes()) return refuse("the experiment has fewer tasks than the job has members");
    return NavigationTask::make(*std::move(nodes), settings, terms);
}

Made make(const ProblemExperiment& experiment, const JobTerms& terms, const std::string& own_data) {
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
    return ProblemTask::make(*std::move(data), experiment.settings(), terms);
}

}  // namespace

Made make_node_task(const JobTerms& terms) {
    return make_node_task_with({}, terms);
}

Made make_node_task_with(const std::string& own_data, const JobTerms& terms) {
    auto settings = read_deployed(terms.experiment, "the job's experiment");
    if (!settings) return tl::unexpected(settings.error());
    return std::visit([&](const auto& of_kind) { return make(of_kind, terms, own_data); }, *settings);
}

}  // namespace dunlin
