// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/adapt/moreau_envelope.hpp"
#include "core/adapt/plain.hpp"
#include "core/layer_split.hpp"
#include "envs/data_notes.hpp"
#include "training/axes/federated_settings.hpp"
#include "training/host/host_memory.hpp"
#include "training/models/model_file.hpp"
#include "training/simulation/learner.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace dunlin {

/// Sums over what a model was judged on; what they mean is the problem's affair.
struct FleetScore {
    std::int64_t count = 0;
    std::array<double, 6> sums{};

    void add(const FleetScore& other) {
        count += other.count;
        for (std::size_t k = 0; k < sums.size(); ++k) sums[k] += other.sums[k];
    }
    template <class Archive>
    void fields(Archive& archive) {
        archive(count, sums);
    }
};

/// A number that models are judged by, made from sums over all nodes.
struct FleetMetric {
    std::string key;    ///< "mrr"
    std::string title;  ///< "MRR"; empty: for files alone
    double value = 0;
};

/// Nodes with data of their own that make a shared model their own and are judged by it. Every method answers for
/// any worker thread at any time; results do not depend on the worker.
class AdaptableProblem {
public:
    virtual ~AdaptableProblem() = default;
    virtual std::uint32_t nodes() const = 0;
    virtual std::size_t dimension() const = 0;
    /// Which of them stay with their node.
    virtual LayerSplit split() const { return LayerSplit(dimension()); }
    /// First parameters, the same for everybody.
    virtual void initialise(Vector<float> w) const = 0;

    /// Moves theta, which starts as it is, `steps` steps towards the minimum of the node's loss plus
    /// lambda/2 |theta - w|^2.
    virtual void personalise(std::uint32_t node, ConstVector<float> w, const Personalisation& how, Stream& random,
                             Vector<float> theta, int worker) = 0;
    /// A model on the node's held-out data.
    virtual FleetScore judge(std::uint32_t node, ConstVector<float> w, int worker) = 0;
    /// What was left out, filled in, renumbered or assumed when the data was read.
    virtual DataNotes notes() const { return {}; }
    /// The first is the one that methods are judged by.
    virtual std::vector<FleetMetric> metrics(const FleetScore& score) const = 0;
    /// What is said of one node; the first stands for it in tables and plots.
    virtual std::vector<FleetMetric> node_metrics(std::uint32_t /*node*/, const FleetScore& score) const {
        return metrics(score);
    }
    /// What is said of all nodes, by their numbers: of the sum of their scores, unless the problem knows better.
    virtual std::vector<FleetMetric> metrics_of(std::span<const FleetScore> nodes) const {
        FleetScore sum;
        for (const FleetScore& score : nodes) sum.add(score);
        return metrics(sum);
    }
    /// Is told who takes part from now on, 1 for each node that does, for problems whose judgement depends on it.
    virtual void attend(std::span<const std::uint8_t> /*present*/) {}
    /// Environment steps that were sampled so far, by all workers; 0 of a problem that samples none.
    virtual std::int64_t environment_steps() const { return 0; }

    /// The model that is learned, without its parameters and its settings: what goes in and comes out, and the
    /// nodes.
    virtual TrainedModel description() const = 0;
};

/// What a fleet learns: such nodes, and a task that they share.
class FederatedProblem : public AdaptableProblem {
public:
    /// What each node trains on: a weight.
    virtual std::vector<float> samples() const = 0;

    /// Are there labels that a node may lie about? Its settings' attack then makes it.
    virtual bool has_labels() const { return false; }

    /// A learner that stands in for a node until the same worker asks for another; `everybody` for all nodes' data
    /// together.
    virtual Learner& learner(std::uint32_t node, int worker) = 0;
    static constexpr std::uint32_t everybody = 0xffffffffu;

    /// The bilevel objective's gradient: moves the personal part of a node's whole model w and writes a gradient
    /// whose shared part is that of the rest. Returns the task gradients that it cost.
    virtual int bilevel_gradient(std::uint32_t node, int worker, Vector<float> w, Stream& random,
                                 Vector<float> out) = 0;
    /// The node's Hessian at w times s, of its loss on a fresh batch; where what is drawn depends on the parameters, with
    /// what that adds to the derivative of the gradient. Returns the task gradients that it cost.
    virtual int hessian_product(std::uint32_t node, int worker, ConstVector<float> w, ConstVector<float> s,
                                Stream& random, Vector<float> out) = 0;
};

/// Any task as a FederatedProblem. World gives:
///
///     using Task = ...;                              a core Task on float
///     std::uint32_t nodes(); void initialise(Vector<float>); std::vector<float> samples();
///     std::size_t bytes(); Task make_task(Arena&);
///     void assign(Task&, std::uint32_t node);        the node's training data, or everybody's
///     FleetScore judge(Task&, std::uint32_t node, ConstVector<float>);
///     std::vector<FleetMetric> metrics(const FleetScore&);
///     void describe(TrainedModel&) const;                   all of it but the nodes' names, where they are numbers
///     std::vector<FleetMetric> node_metrics(std::uint32_t node, const FleetScore&);   where a node's are others
///     std::vector<FleetMetric> metrics_of(std::span<const FleetScore>);   where all nodes' are not the sum's
///     void attend(std::span<const std::uint8_t> present);                 where they depend on who takes part
///     void assign_personal(Task&, std::uint32_t node);   where personal models train on less
///     LayerSplit split;                              where it can have personal layers
///     DataNotes notes;                               where reading its data changes or leaves out any
///     static constexpr bool has_labels;              those who lie about them have been told to (attack.name)
///     static constexpr bool one_node_at_a_time;      there is no everybody's data: its learner draws a node for
///                                                    each gradient, and `assign` is called with nodes alone
///     static constexpr bool personal_where_judged;   a model is made one's own by `judge` itself, piece by piece
///     static constexpr bool draws_by_parameters;     a ScoredTask, of which exact MAML needs the sum of scores
template <class World>
class WorldProblem final : public FederatedProblem {
public:
    using Task = typename World::Task;

    WorldProblem(World world, FederatedSettings settings, int threads)
        : world_(std::move(world)), bilevel_(settings.bilevel), step_clip_(settings.moreau.step_clip) {
        if constexpr (requires { world_.split; }) {
            if (world_.split.has_personal()) settings.maml.personal = &world_.split;
        }
        if constexpr (requires { World::draws_by_parameters; })
            settings.maml.score_term = !settings.maml.first_order;
        for (int worker = 0; worker < threads; ++worker)
            benches_.push_back(std::make_unique<Bench>(world_, settings));
    }
    WorldProblem(const WorldProblem&) = delete;
    WorldProblem& operator=(const WorldProblem&) = delete;

    std::uint32_t nodes() const override { return world_.nodes(); }
    std::size_t dimension() const override { return benches_.front()->task.dimension(); }
    LayerSplit split() const override {
        if constexpr (requires { world_.split; }) return world_.split;
        return LayerSplit(dimension());
    }
    void initialise(Vector<float> w) const override { world_.initialise(w); }
    std::vector<float> samples() const override { return world_.samples(); }
    bool has_labels() const override {
        return requires {
            World::has_labels;
        };
    }

    Learner& learner(std::uint32_t node, int worker) override {
        Bench& bench = at(worker);
        if (has_to_draw(node)) {
            if (!bench.anybody) bench.anybody = std::make_unique<Anybody>(world_, bench);
            return *bench.anybody;
        }
        world_.assign(bench.task, node);
        return *bench.learner;
    }
    int bilevel_gradient(std::uint32_t node, int worker, Vector<float> w, Stream& random,
                         Vector<float> out) override {
        Bench& bench = at(worker);
        world_.assign(bench.task, node);
        bench.scratch.resize(std::max(bench.scratch.size(), bilevel_.scratch(w.size())));
        return bilevel_.template gradient<float>(bench.task, split(), w, random, out,
                                                 Vector<float>(bench.scratch).first(bilevel_.scratch(w.size())));
    }
    int hessian_product(std::uint32_t node, int worker, ConstVector<float> w, ConstVector<float> s, Stream& random,
                        Vector<float> out) override {
        Task& task = at(worker).task;
        world_.assign(task, node);
        task.draw(0, w, random);
        task.hessian_vector(0, w, s, out);
        if constexpr (ScoredTask<Task>) {
            // d/dw E[g] = E[dg/dw + g (sum of scores)'].
            std::vector<float>& scratch = at(worker).scratch;
            scratch.resize(std::max(scratch.size(), w.size()));
            const Vector<float> term = Vector<float>(scratch).first(w.size());
            task.score_sum(0, w, term);
            const float along = dot<float>(term, s);
            if (along == 0.0f) return 2;  // what is drawn does not depend on w
            task.gradient(0, w, term);
            for (std::size_t k = 0; k < out.size(); ++k) out[k] += along * term[k];
            return 4;
        }
        return 2;
    }
    void personalise(std::uint32_t node, ConstVector<float> w, const Personalisation& how, Stream& random,
                     Vector<float> theta, int worker) override {
        if constexpr (requires { World::personal_where_judged; }) return;
        Bench& bench = at(worker);
        if constexpr (requires { world_.assign_personal(bench.task, node); }) {
            world_.assign_personal(bench.task, node);
        } else if (!has_to_draw(node)) {
            world_.assign(bench.task, node);
        }
        const MoreauEnvelope towards{.prox_weight = how.prox_weight,
                                     .inner_rate = how.rate,
                                     .accuracy = how.accuracy,
                                     .step_clip = step_clip_};
        for (int k = 0; k < how.steps; ++k) {
            if (has_to_draw(node)) world_.assign(bench.task, random.below(world_.nodes()));
            bench.task.draw(0, ConstVector<float>(theta), random);
            const bool arrived =
                towards.step<float>(bench.task, w, theta, Vector<float>(bench.scratch).first(theta.size()));
            if (arrived && how.accuracy > 0.0f) break;
            if (how.personal_layers_only) keep_shared(w, theta);
        }
    }
    FleetScore judge(std::uint32_t node, ConstVector<float> w, int worker) override {
        return world_.judge(at(worker).task, node, w);
    }
    std::vector<FleetMetric> metrics(const FleetScore& score) const override { return world_.metrics(score); }
    std::vector<FleetMetric> node_metrics(std::uint32_t node, const FleetScore& score) const override {
        if constexpr (requires { world_.node_metrics(node, score); }) return world_.node_metrics(node, score);
        return world_.metrics(score);
    }
    std::vector<FleetMetric> metrics_of(std::span<const FleetScore> nodes) const override {
        if constexpr (requires { world_.metrics_of(nodes); }) return world_.metrics_of(nodes);
        return FederatedProblem::metrics_of(nodes);
    }
    void attend([[maybe_unused]] std::span<const std::uint8_t> present) override {
        if constexpr (requires { world_.attend(present); }) world_.attend(present);
    }
    std::int64_t environment_steps() const override {
        std::int64_t steps = 0;
        if constexpr (requires(const Task& task) { task.steps(); }) {
            for (const auto& bench : benches_) steps += bench->task.steps();
        }
        return steps;
    }

    DataNotes notes() const override {
        if constexpr (requires { world_.notes; }) return world_.notes;
        return {};
    }

    TrainedModel description() const override {
        TrainedModel model;
        world_.describe(model);
        for (std::uint32_t i = std::min<std::uint32_t>(static_cast<std::uint32_t>(model.nodes.size()), nodes());
             i < nodes(); ++i)
            model.nodes.push_back("node " + std::to_string(i));
        return model;
    }

    const World& world() const { return world_; }

private:
    /// What one thread works with.
    struct Bench {
        Bench(const World& world, const FederatedSettings& settings)
            : memory(world.bytes()),
              arena(memory.bytes()),
              task(world.make_task(arena)),
              learner(make_learner(task, settings)),
              scratch(task.dimension()) {}

        static std::unique_ptr<Learner> make_learner(Task& task, const FederatedSettings& settings) {
            switch (settings.objective()) {
                case Objective::maml:
                    return std::make_unique<TaskLearner<Task, Maml>>(task, settings.maml);
                case Objective::moreau:
                    return std::make_unique<TaskLearner<Task, MoreauEnvelope>>(task, settings.moreau);
                default:
                    return std::make_unique<TaskLearner<Task, Plain>>(task, Plain{});
            }
        }

        HostMemory memory;
        Arena arena;
        Task task;
        std::unique_ptr<Learner> learner;
        std::vector<float> scratch;
        std::unique_ptr<Learner> anybody{};  ///< made when it is asked for
    };

    /// Stands in for all nodes where a task has one's data at a time: of the mean of their objectives a gradient of
    /// one of them is a stochastic gradient.
    struct Anybody final : Learner {
        Anybody(const World& among, Bench& with) : world(among), bench(with) {}

        std::size_t dimension() const override { return bench.learner->dimension(); }
        int gradient(ConstVector<float> w, Stream& random, Vector<float> out) override {
            world.assign(bench.task, random.below(world.nodes()));
            return bench.learner->gradient(w, random, out);
        }

        const World& world;
        Bench& bench;
    };

    static bool has_to_draw([[maybe_unused]] std::uint32_t node) {
        if constexpr (requires { World::one_node_at_a_time; }) return node == everybody;
        return false;
    }

    void keep_shared(ConstVector<float> w, Vector<float> theta) const {
        const LayerSplit layers = split();
        for (const LayerSplit::Range& range : layers.shared())
            std::copy_n(w.begin() + static_cast<std::ptrdiff_t>(range.first), range.count,
                        theta.begin() + static_cast<std::ptrdiff_t>(range.first));
    }

    Bench& at(int worker) { return *benches_[static_cast<std::size_t>(worker)]; }

    World world_;
    Bilevel bilevel_;
    float step_clip_;
    std::vector<std::unique_ptr<Bench>> benches_;
};

}  // namespace dunlin
