// SPDX-License-Identifier: Apache-2.0
#include "training/problems/pdbo_fleet.hpp"

#include "training/host/host_memory.hpp"
#include "training/problems/classification_data.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace dunlin {
namespace {

/// Of a score's sums, behind those of a classifier on its test rows.
enum Sum : std::uint8_t { test_share = 2, validation_share, loss_of_training };

/// The predictors' parameters, and behind them the weights, as layers.
struct MixtureLayers {
    std::size_t predictors, weights;
    int layers = 2;

    constexpr std::size_t weights_at(int layer) const {
        return layer == 0 ? 0 : predictors + (layer > 1 ? weights : 0);
    }
    constexpr std::size_t parameters() const { return predictors + weights; }
};

Personalisation personalisation_of(const PdboSettings& s) {
    return {.steps = 20, .rate = s.outer_rate};
}

FederatedSettings learning_of(const PdboSettings& s) {
    const auto method = [&]() -> Method {
        switch (s.method) {
            case PdboMethod::pdbo_mtl:
            case PdboMethod::pdbo_mtl_local:
                return {Objective::bilevel, AggregationName::sgp};
            case PdboMethod::sgp:
                return {Objective::plain, AggregationName::sgp};
            default:
                return preset::local;
        }
    };
    FederatedSettings learning;
    learning.method = method();
    learning.batch = s.mixture.batch;
    learning.local_rate = s.inner_rate;
    learning.personal = personalisation_of(s);
    return learning;
}

/// The first stage comes before all outer steps.
Outcome<RoundPlan> rounds_of(const PdboSettings& s, const FederatedProblem& problem) {
    const int steps = stage_steps(s, static_cast<const PdboAgents&>(problem));
    RoundPlan plan;
    plan.opening = plan.stage = steps;
    plan.best_by = PdboAgents::validation_accuracy;
    plan.shares = s.method != PdboMethod::local;
    plan.columns = {"stage",         "inner_steps",   "task_gradients", "validation_accuracy",
                    "test_accuracy", "bottom_decile", "train_loss",     "hyper_gradient_norm"};
    plan.length_key = "method.outer_steps";
    plan.method = name_of(s.method);
    if (s.method == PdboMethod::pdbo_mtl) plan.aggregation = "hgp";
    plan.shared_is = fmt::format("the mean of the agents' predictors by {}, seed {}, with equal weights",
                                 name_of(s.method), s.seed);
    plan.advice = "try a smaller method.inner_rate";
    for (std::int64_t stage = 0; stage <= s.outer_steps; ++stage) plan.moments.push_back((stage + 1) * steps);
    plan.rounds = plan.learning = plan.moments.back();
    return plan;
}

Outcome<std::unique_ptr<FederatedProblem>> make_pdbo(const PdboSettings& s, int threads) {
    const auto kernels = find_kernels(s.kernels);
    if (!kernels) return refuse(kernels.error(), "kernels = \"" + s.kernels + "\"");
    Outcome<PdboData> data = make_pdbo_data(s);
    if (!data) return tl::unexpected(data.error());
    const auto shape = MlpShape::make(data->table.features, s.hidden, data->table.classes, s.activation);
    if (!shape) return refuse(shape.error(), "model.hidden");
    const auto agents = static_cast<std::uint32_t>(data->parts.size());
    const auto predictors = static_cast<std::size_t>(s.mixture.predictors);
    const std::size_t d = shape->parameters() * predictors;
    const std::size_t needed = bilevel_fleet_bytes(agents, d, predictors) +
                               static_cast<std::size_t>(threads) * PdboAgents::Task::bytes(*shape, s.mixture);
    if (needed > machine_memory())
        return refuse(
            fmt::format("model.predictors = {}: {} agents with {} parameters each need {} MB of memory, and "
                        "this machine has {}; use fewer predictors, agents or hidden units",
                        predictors, agents, d, needed >> 20, machine_memory() >> 20));
    return std::make_unique<PdboAgents>(s, *std::move(data), *shape, **kernels, threads);
}

/// Over those for whom it is a number.
double mean_of(std::span<const FleetScore> scores, Sum which) {
    double sum = 0, count = 0;
    for (const FleetScore& score : scores) {
        if (std::isnan(score.sums[which])) continue;
        sum += score.sums[which];
        ++count;
    }
    return count > 0 ? sum / count : 0.0;
}

}  // namespace

/// What one thread computes with; it serves any agent.
struct PdboAgents::Bench final : BilevelLearner {
    struct LowerLevel final : Learner {
        explicit LowerLevel(Bench& bench) : levels(bench) {}

        std::size_t dimension() const override { return levels.task.dimension() + levels.task.outer_dimension(); }
        int gradient(ConstVector<float> w, Stream& random, Vector<float> out) override {
            const std::size_t d = levels.task.dimension();
            levels.gradient(w.first(d), w.subspan(d), random, out.first(d));
            std::ranges::fill(out.subspan(d), 0.0f);
            return 1;
        }

        Bench& levels;
    };

    Bench(const MlpShape& shape, const Kernels<float>& kernels, const MixtureSettings& settings)
        : memory(Task::bytes(shape, settings)),
          arena(memory.bytes()),
          task(*Task::make(shape, kernels, settings, arena)),
          batch(settings.batch) {}

    void gradient(ConstVector<float> x, ConstVector<float> lambda, Stream& random, Vector<float> out) override {
        task.draw(random);
        task.gradient(x, lambda, out);
    }
    void products(ConstVector<float> x, ConstVector<float> lambda, ConstVector<float> s, Stream& random,
                  Vector<float> hessian, Vector<float> mixed) override {
        task.draw(random);
        task.products(x, lambda, s, hessian, mixed);
    }
    int outer_gradient(ConstVector<float> x, ConstVector<float> lambda, Vector<float> inner,
                       Vector<float> outer) override {
        task.outer_gradient(x, lambda, inner, outer);
        return batches(task.node.rows.size());
    }
    int batches(std::size_t rows) const { return (static_cast<int>(rows) + batch - 1) / batch; }

    HostMemory memory;
    Arena arena;
    Task task;
    int batch;
    LowerLevel lower{*this};
};

PdboAgents::PdboAgents(const PdboSettings& settings, PdboData data, const MlpShape& shape,
                       const Kernels<float>& kernels, int threads)
    : settings_(settings), data_(std::move(data)), shape_(shape) {
    for (int worker = 0; worker < threads; ++worker)
        benches_.push_back(std::make_unique<Bench>(shape, kernels, settings.mixture));
    const Task& task = benches_.front()->task;
    constexpr int weights[] = {-1};
    split_ = *LayerSplit::make(MixtureLayers{task.dimension(), task.outer_dimension()}, weights);
}

PdboAgents::~PdboAgents() = default;

PdboAgents::Bench& PdboAgents::bench(std::uint32_t node, int worker) {
    Bench& own = *benches_[static_cast<std::size_t>(worker)];
    own.task.node = data_.train(node);
    return own;
}

Learner& PdboAgents::learner(std::uint32_t node, int worker) {
    return bench(node, worker).lower;
}

BilevelLearner& PdboAgents::levels(std::uint32_t node, int worker) {
    return bench(node, worker);
}

void PdboAgents::initialise(Vector<float> w) const {
    const std::size_t part = shape_.parameters(), d = split_.shared_size();
    for (std::size_t k = 0; k * part < d; ++k) {
        Stream random(settings_.seed, static_cast<std::uint32_t>(k), Purpose::initialise);
        dunlin::initialise(shape_, random, w.subspan(k * part, part));
    }
    std::ranges::fill(w.subspan(d), 0.0f);
}

std::vector<float> PdboAgents::samples() const {
    std::vector<float> counts;
    for (const NodeRows& part : data_.parts) counts.push_back(static_cast<float>(part.train.size()));
    return counts;
}

double PdboAgents::batches() const {
    double sum = 0;
    for (const NodeRows& part : data_.parts) sum += benches_.front()->batches(part.train.size());
    return sum / static_cast<double>(data_.parts.size());
}

int PdboAgents::bilevel_gradient(std::uint32_t node, int worker, Vector<float> w, Stream& random,
                                 Vector<float> out) {
    personalise(node, w, {.steps = 1, .rate = settings_.outer_rate}, random, w, worker);
    Bench& own = bench(node, worker);
    return own.batches(own.task.node.rows.size()) + own.lower.gradient(w, random, out);
}

int PdboAgents::hessian_product(std::uint32_t node, int worker, ConstVector<float> w, ConstVector<float> s,
                                Stream& random, Vector<float> out) {
    const std::size_t d = split_.shared_size();
    bench(node, worker).products(w.first(d), w.subspan(d), s.first(d), random, out.first(d), out.subspan(d));
    return 2;
}

void PdboAgents::personalise(std::uint32_t node, ConstVector<float>, const Personalisation& how, Stream&,
                             Vector<float> theta, int worker) {
    if (how.steps == 0) return;
    Task& task = bench(node, worker).task;
    const std::size_t d = task.dimension();
    std::vector<float> inner(d), outer(task.outer_dimension());
    const Vector<float> lambda = theta.subspan(d);
    for (int step = 0; step < how.steps; ++step) {
        task.outer_gradient(ConstVector<float>(theta.first(d)), ConstVector<float>(lambda), inner, outer);
        for (std::size_t k = 0; k < lambda.size(); ++k) lambda[k] -= how.rate * outer[k];
    }
}

FleetScore PdboAgents::judge(std::uint32_t node, ConstVector<float> w, int worker) {
    Task& task = bench(node, worker).task;
    const ConstVector<float> x = w.first(task.dimension()), lambda = w.subspan(task.dimension());
    const ClassificationScore test = task.evaluate(data_.test(node), x, lambda);
    const LabelledRows validation = data_.validate(node);
    FleetScore score{test.rows, {static_cast<double>(test.correct), test.loss_sum}};
    score.sums[test_share] = test.accuracy();
    score.sums[validation_share] = validation.rows.empty() ? std::numeric_limits<double>::quiet_NaN()
                                                           : task.evaluate(validation, x, lambda).accuracy();
    score.sums[loss_of_training] = task.evaluate(data_.train(node), x, lambda).loss();
    return score;
}

std::vector<FleetMetric> PdboAgents::metrics(const FleetScore& score) const {
    const auto rows = static_cast<double>(score.count);
    return {{"accuracy", "accuracy", score.sums[0] / rows}, {"loss", "cross-entropy", score.sums[1] / rows}};
}

std::vector<FleetMetric> PdboAgents::node_metrics(std::uint32_t, const FleetScore& score) const {
    return {{"test_accuracy", "test accuracy", score.sums[test_share]}};
}

std::vector<FleetMetric> PdboAgents::metrics_of(std::span<const FleetScore> scores) const {
    std::vector<double> tests;
    for (const FleetScore& score : scores) tests.push_back(score.sums[test_share]);
    // Those without a title are for files.
    return {{"test_accuracy", "test", mean_of(scores, test_share)},
            {"validation_accuracy", "validation", mean_of(scores, validation_share)},
            {"bottom_decile", "bottom decile", bottom_decile(std::move(tests))},
            {"train_loss", "training loss", mean_of(scores, loss_of_training)},
            {"task_gradients", "", static_cast<double>(counters_.gradients) / static_cast<double>(nodes())},
            {"hyper_gradient_norm", "", hyper_norm_}};
}

TrainedModel PdboAgents::description() const {
    const PdboSettings& s = settings_;
    TrainedModel model;
    describe_classifier(data_.table, model);
    model.shape = shape_;
    model.head = ModelHead::mixture;
    model.networks = s.mixture.predictors;
    model.weights.assign(static_cast<std::size_t>(model.networks), 1.0f / static_cast<float>(model.networks));
    if (s.task == PdboTask::characters)
        model.input = fmt::format("the last {} characters, each as {} numbers of which one is 1", s.context,
                                  data_.table.features / std::max(1, s.context));
    model.output = "probabilities, one a class: those of the networks, averaged by weights";
    model.nodes = data_.names;
    for (std::size_t i = model.nodes.size(); i < data_.parts.size(); ++i)
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

double bottom_decile(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const double place = 0.1 * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, values.size() - 1);
    return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

ProblemKind<PdboSettings> pdbo_kind() {
    return {.name = "pdbo",
            .nodes_are = "agents",
            .settings = pdbo_settings,
            .make = make_pdbo,
            .about =
                [](const PdboSettings&, const FederatedProblem& made) {
                    return static_cast<const PdboAgents&>(made).data().description;
                },
            .method_key = "method.name",
            .methods = "pdbo-mtl,pdbo-mtl-local,sgp,local",
            .learning = learning_of,
            .judging = [](const PdboSettings&) { return Judging{.personal = {.steps = 0}}; },
            .rounds = rounds_of,
            .fleet =
                [](const PdboSettings& s, FederatedProblem& problem, PersonalLayers& layers, Workers& workers) {
                    return make_pdbo_fleet(s, static_cast<PdboAgents&>(problem), layers, workers);
                },
            .report = report_pdbo,
            .side_runs = pdbo_side_runs};
}

}  // namespace dunlin
