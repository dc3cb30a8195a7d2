// SPDX-License-Identifier: Apache-2.0
#include "training/host/host_memory.hpp"
#include "training/problems/classification_data.hpp"
#include "training/runs/adaptable.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace dunlin {
namespace {

using Task = MixtureClassification<float>;

class PdboAdaptable final : public AdaptableProblem {
public:
    PdboAdaptable(const PdboSettings& settings, PdboData data, const MlpShape& shape, const Kernels<float>& kernels)
        : settings_(settings),
          data_(std::move(data)),
          shape_(shape),
          memory_(Task::bytes(shape, settings.mixture)),
          arena_(memory_.bytes()),
          task_(*Task::make(shape, kernels, settings.mixture, arena_)),
          inner_(task_.dimension()),
          outer_(task_.outer_dimension()) {}

    std::uint32_t nodes() const override { return static_cast<std::uint32_t>(data_.parts.size()); }
    std::size_t dimension() const override { return inner_.size() + outer_.size(); }
    void initialise(Vector<float> w) const override {
        const std::size_t part = shape_.parameters();
        for (std::size_t k = 0; k < outer_.size(); ++k) {
            Stream random(settings_.seed, static_cast<std::uint32_t>(k), Purpose::initialise);
            dunlin::initialise(shape_, random, w.subspan(k * part, part));
        }
        std::ranges::fill(w.subspan(inner_.size()), 0.0f);
    }
    void personalise(std::uint32_t node, ConstVector<float>, const Personalisation& how, Stream&,
                     Vector<float> theta, int) override {
        task_.node = data_.train(node);
        const Vector<float> lambda = theta.subspan(inner_.size());
        for (int step = 0; step < how.steps; ++step) {
            task_.outer_gradient(ConstVector<float>(theta.first(inner_.size())), ConstVector<float>(lambda), inner_,
                                 outer_);
            for (std::size_t k = 0; k < lambda.size(); ++k) lambda[k] -= how.rate * outer_[k];
        }
    }
    FleetScore judge(std::uint32_t node, ConstVector<float> w, int) override {
        const ClassificationScore score =
            task_.evaluate(data_.test(node), w.first(inner_.size()), w.subspan(inner_.size()));
        return {score.rows, {static_cast<double>(score.correct), score.loss_sum, 0.0}};
    }
    std::vector<FleetMetric> metrics(const FleetScore& score) const override {
        const auto rows = static_cast<double>(score.count);
        return {{"accuracy", "accuracy", score.sums[0] / rows}, {"loss", "cross-entropy", score.sums[1] / rows}};
    }
    TrainedModel description() const override { return describe_pdbo(settings_, data_, shape_); }

private:
    PdboSettings settings_;
    PdboData data_;
    MlpShape shape_;
    HostMemory memory_;
    Arena arena_;
    Task task_;
    std::vector<float> inner_, outer_;
};

}  // namespace

Adaptable make_adaptable(const PdboSettings& s) {
    const auto kernels = find_kernels(s.kernels);
    if (!kernels) return refuse(kernels.error(), "kernels");
    Outcome<PdboData> data = make_pdbo_data(s);
    if (!data) return tl::unexpected(data.error());
    const auto shape = MlpShape::make(data->table.features, s.hidden, data->table.classes, s.activation);
    if (!shape) return refuse(shape.error(), "model.hidden");
    return std::make_unique<PdboAdaptable>(s, *std::move(data), *shape, **kernels);
}

Personalisation personalisation_of(const PdboSettings& s) {
    return {.steps = 20, .rate = s.outer_rate};
}

TrainedModel describe_pdbo(const PdboSettings& s, const PdboData& data, const MlpShape& shape) {
    TrainedModel model;
    describe_classifier(data.table, model);
    model.experiment = s.experiment;
    model.shape = shape;
    model.head = ModelHead::mixture;
    model.networks = s.mixture.predictors;
    model.weights.assign(static_cast<std::size_t>(model.networks), 1.0f / static_cast<float>(model.networks));
    if (s.task == PdboTask::characters)
        model.input = fmt::format("the last {} characters, each as {} numbers of which one is 1", s.context,
                                  data.table.features / std::max(1, s.context));
    model.output = "probabilities, one a class: those of the networks, averaged by weights";
    model.nodes = data.names;
    for (std::size_t i = model.nodes.size(); i < data.parts.size(); ++i)
        model.nodes.push_back(fmt::format("agent {}", i));
    if (s.clusters > 1)
        model.notes.push_back(
            "Agents of different groups see inputs in ways of their own: a model is fed what its "
            "agent sees");
    model.personal_is = fmt::format(
        "{} steps of size {} of the networks' weights, each by all of the node's rows; the "
        "networks stay",
        personalisation_of(s).steps, s.outer_rate);
    return model;
}

}  // namespace dunlin
