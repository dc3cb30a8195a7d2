// SPDX-License-Identifier: Apache-2.0
#include "training/runs/decentralised.hpp"

#include "core/adapt/plain.hpp"
#include "training/host/workers.hpp"
#include "training/problems/personal_layers.hpp"
#include "training/runs/evaluation_schedule.hpp"
#include "training/settings/reading.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include <fmt/format.h>

namespace dunlin {
namespace {

using Clock = std::chrono::steady_clock;
using Task = Classification<float>;

/// What models are judged on: rows by label, and how much each label counts for an agent.
class Judge {
public:
    explicit Judge(const SharedData& data) : data_(data), by_label_(static_cast<std::size_t>(data.table.classes)) {
        const DataTable& table = held_out() ? data.table : data.test;
        const auto add = [&](std::uint32_t row) { by_label_[table.labels[row]].push_back(row); };
        if (held_out()) {
            for (const NodeRows& part : data.parts) std::ranges::for_each(part.test, add);
        } else {
            for (std::uint32_t row = 0; row < table.rows(); ++row) add(row);
        }
    }

    /// Adds one agent's numbers, as parts of means over all agents.
    DecentralisedRow judge(Task& task, std::uint32_t node, ConstVector<float> w) const {
        const NodeRows& part = data_.parts[node];
        const std::uint8_t* names = part.relabel.empty() ? nullptr : part.relabel.data();
        const DataTable& table = held_out() ? data_.table : data_.test;
        DecentralisedRow row;
        row.train_loss = task.evaluate(part.train_view(data_.table), w).loss();
        double labels = 0, shares = 0;
        for (std::size_t label = 0; label < by_label_.size(); ++label) {
            if (by_label_[label].empty()) continue;
            const ClassificationScore score = task.evaluate(table.view(by_label_[label], names), w);
            row.accuracy_balanced += score.accuracy();
            labels += 1;
            if (held_out()) continue;
            const double share = share_of(part, static_cast<std::uint8_t>(label));
            row.accuracy_own += share * score.accuracy();
            row.loss_own += share * score.loss();
            shares += share;
        }
        row.accuracy_balanced /= labels;
        if (labels < static_cast<double>(by_label_.size()) && shares > 0) {  // labels without a row to test on
            row.accuracy_own /= shares;
            row.loss_own /= shares;
        }
        if (held_out()) {
            const ClassificationScore own = task.evaluate(part.test_view(data_.table), w);
            row.accuracy_own = own.accuracy();
            row.loss_own = own.loss();
        }
        return row;
    }

    /// The accuracy on an agent's own distribution of always naming its most frequent label.
    double constant_accuracy(std::uint32_t node) const {
        const NodeRows& part = data_.parts[node];
        const std::vector<std::uint32_t>& rows = held_out() ? part.test : part.train;
        std::vector<double> counts(by_label_.size());
        for (const std::uint32_t row : rows)
            counts[data_.table.labels[row]] += 1.0 / static_cast<double>(rows.size());
        return std::ranges::max(counts);
    }

private:
    bool held_out() const { return data_.test.rows() == 0; }
    double share_of(const NodeRows& part, std::uint8_t label) const {
        const auto count =
            std::ranges::count_if(part.train, [&](std::uint32_t row) { return data_.table.labels[row] == label; });
        return static_cast<double>(count) / static_cast<double>(part.train.size());
    }

    const SharedData& data_;
    std::vector<std::vector<std::uint32_t>> by_label_;
};

/// What one thread computes with; it serves any agent.
struct Bench {
    HostMemory memory;
    Arena arena;
    Task task;
    TaskLearner<Task, Plain> plain;
    std::vector<float> scratch;

    Bench(const DecentralisedSettings& s, const MlpShape& shape, const Kernels<float>& kernels)
        : memory(Task::bytes(shape, s.batch, Bilevel::slots())),
          arena(memory.bytes()),
          task(*Task::make(shape, kernels, s.batch, Bilevel::slots(), arena)),
          plain(task, Plain{}),
          scratch(s.bilevel.scratch(shape.parameters())) {}
};

class Training final : public DecentralisedTraining {
public:
    Training(const DecentralisedSettings& settings, SharedData data, const MlpShape& shape, const LayerSplit& split,
             const Kernels<float>& kernels, int threads)
        : settings_(settings),
          data_(std::move(data)),
          judge_(data_),
          shape_(shape),
          workers_(threads),
          first_(first_model()),
          layers_(keeps_layers() ? split : LayerSplit(shape.parameters()), nodes(), first_) {
        for (int worker = 0; worker < workers_.count(); ++worker)
            benches_.push_back(std::make_unique<Bench>(settings_, shape_, kernels));
    }

    Outcome<void> connect() {
        if (settings_.method == DecentralisedMethod::alone) {
            models_.assign(nodes(), first_);
            for (std::uint32_t i = 0; i < nodes(); ++i) streams_.emplace_back(settings_.seed, i, Purpose::samples);
            return {};
        }
        const GraphRecipe recipe{.kind = settings_.graph,
                                 .nodes = nodes(),
                                 .probability = static_cast<double>(settings_.probability),
                                 .path = settings_.graph_file};
        const Outcome<Graph> graph = read_graph(recipe, settings_.seed, "network", &data_.notes);
        if (!graph) return tl::unexpected(graph.error());
        edges_ = graph->edges();
        const AggregationName recursion = recursion_of(settings_.method);
        const double ratio = static_cast<double>(settings_.rho_over_tau);
        auto mixing = mixing_of(recursion, *graph, settings_.mixing, ratio);
        if (!mixing) return tl::unexpected(mixing.error());
        mixing_ = *std::move(mixing);

        GossipSettings fleet;
        fleet.seed = settings_.seed;
        fleet.theta = {.scale = static_cast<double>(settings_.step)};
        fleet.mixing = settings_.mixing;
        fleet.rho_over_tau = ratio;
        std::vector<float> start;
        const std::vector<float> shared = layers_.shared_of(first_);
        for (std::uint32_t i = 0; i < nodes(); ++i) start.insert(start.end(), shared.begin(), shared.end());
        auto made = make_gossip_fleet(recursion, *graph, fleet, start, learners(), workers_.count());
        if (!made) return tl::unexpected(made.error());
        fleet_ = *std::move(made);
        return {};
    }

    const DataNotes& notes() const override { return data_.notes; }

    TrainedModel description() const override {
        TrainedModel model;
        describe_classifier(data_.table, model);
        model.shape = shape_;
        for (std::uint32_t i = 0; i < nodes(); ++i) model.nodes.push_back(fmt::format("agent {}", i));
        if (std::ranges::any_of(data_.parts, [](const NodeRows& part) { return !part.relabel.empty(); }))
            model.notes.push_back("Every agent names the classes in a way of its own");
        return model;
    }

    Outcome<DecentralisedOutcome> run(const DecentralisedHooks& hooks) override {
        DecentralisedOutcome outcome;
        const Clock::time_point begin = Clock::now();
        EvaluationSchedule schedule{.evaluations = settings_.evaluations,
                                    .length = static_cast<double>(settings_.iterations)};
        std::int64_t done = 0;
        double earlier_s = 0;
        const auto seconds = [&] {
            return earlier_s + std::chrono::duration<double>(Clock::now() - begin).count();
        };
        const auto save = [&](Saver& saver) {
            saver(schedule, done, seconds(), outcome.history, layers_);
            save_models(saver);
        };
        if (hooks.goes_on()) {
            EvaluationSchedule before;
            const auto restored = hooks.go_on([&](Loader& loader) {
                loader(before, done, earlier_s, outcome.history, layers_);
                return restore_models(loader);
            });
            if (!restored) return tl::unexpected(restored.error());
            if (auto fits = RunPauses::check_length("method.iterations", settings_.iterations, done); !fits)
                return tl::unexpected(fits.error());
            schedule.next = schedule.after(before, static_cast<double>(done) / settings_.iterations);
            for (const DecentralisedRow& row : outcome.history) {
                if (Outcome<void> kept = hooks.keep(row); !kept) return tl::unexpected(kept.error());
            }
            judge(done, outcome);  // for the models at the end, if this is it
        }
        bool stopped = false;
        for (; schedule.next <= settings_.evaluations && outcome.failure.empty() && !stopped; ++schedule.next) {
            const std::int64_t target =
                static_cast<std::int64_t>(settings_.iterations) * schedule.next / settings_.evaluations;
            constexpr std::int64_t stride = 20;  // iterations between two looks at `stop`
            while (done < target && outcome.failure.empty()) {
                const auto left_off = hooks.left_off(save);
                if (!left_off) return tl::unexpected(left_off.error());
                if ((stopped = *left_off)) break;
                const std::int64_t next = std::min(done + stride, target);
                if (Outcome<void> lived = advance(next); !lived) outcome.failure = lived.error().text;
                done = next;
            }
            outcome.history.push_back(judge(done, outcome));
            if (Outcome<void> kept = hooks.keep(outcome.history.back()); !kept) return tl::unexpected(kept.error());
            if (stopped || !hooks.stop()) continue;
            // The stop came after the last look at it on the way here.
            ++schedule.next;
            if (Outcome<void> kept = hooks.checkpoint(save, true); !kept) return tl::unexpected(kept.error());
            break;
        }
        outcome.complete = done == settings_.iterations && outcome.failure.empty();
        if (outcome.complete) {
            schedule.next = settings_.evaluations + 1;
            if (Outcome<void> kept = hooks.checkpoint(save, true); !kept) return tl::unexpected(kept.error());
        }
        outcome.agents = nodes();
        for (std::uint32_t i = 0; i < nodes(); ++i)
            outcome.constant_accuracy_own += judge_.constant_accuracy(i) / nodes();
        outcome.edges = edges_;
        outcome.shared_parameters = layers_.split().shared_size();
        outcome.personal_parameters = layers_.split().personal_size();
        outcome.mixing = mixing_.kind;
        outcome.spectrum = mixing_.spectrum;
        if (fleet_) {
            // The announcement of the start counts as a message of the first iteration.
            outcome.bytes_per_iteration =
                static_cast<double>(fleet_->messages().sent_bytes) / static_cast<double>((done + 1) * nodes());
            outcome.trace = fleet_->trace();
        }
        outcome.gradients = fleet_ ? fleet_->counters().gradients : alone_gradients_;
        outcome.seconds = seconds();
        return outcome;
    }

private:
    void save_models(Saver& saver) const {
        if (fleet_) return fleet_->save(saver);
        saver(models_, streams_, alone_done_, alone_gradients_);
    }
    Result<void> restore_models(Loader& loader) {
        if (!layers_.fits(nodes(), false)) return fail(Code::shape_mismatch);
        if (fleet_) return fleet_->restore(loader);
        loader(models_, streams_, alone_done_, alone_gradients_);
        const bool fit = models_.size() == nodes() && streams_.size() == nodes() &&
                         std::ranges::all_of(models_, [this](const auto& w) { return w.size() == first_.size(); });
        return fit ? Result<void>{} : fail(Code::shape_mismatch);
    }

    std::uint32_t nodes() const { return static_cast<std::uint32_t>(data_.parts.size()); }
    bool keeps_layers() const {
        if (settings_.method == DecentralisedMethod::spdb) return true;
        return settings_.personal_for_all && settings_.method != DecentralisedMethod::alone;
    }

    std::vector<float> first_model() const {
        std::vector<float> w(shape_.parameters());
        Stream random(settings_.seed, 0, Purpose::initialise);
        initialise(shape_, random, w);
        return w;
    }

    Bench& bench(std::uint32_t node, int worker) {
        Bench& bench = *benches_[static_cast<std::size_t>(worker)];
        bench.task.node = data_.parts[node].train_view(data_.table);
        return bench;
    }

    LearnerOf learners() {
        const LearnerOf whole = [this](std::uint32_t node, int worker) -> Learner& {
            return bench(node, worker).plain;
        };
        if (!keeps_layers()) return whole;
        const LayerSplit& split = layers_.split();
        if (settings_.method != DecentralisedMethod::spdb)
            return shared_learners(layers_, descend_together(whole, split, settings_.bilevel.personal_rate),
                                   workers_.count());
        const auto bilevel = [this](std::uint32_t node, int worker, Vector<float> w, Stream& random,
                                    Vector<float> out) {
            Bench& own = bench(node, worker);
            return settings_.bilevel.gradient<float>(own.task, layers_.split(), w, random, out, own.scratch);
        };
        return shared_learners(layers_, bilevel, workers_.count());
    }

    Outcome<void> advance(std::int64_t iteration) {
        if (fleet_) return fleet_->run(iteration);
        workers_.run(static_cast<int>(nodes()), [&](int piece, int worker) {
            const auto i = static_cast<std::uint32_t>(piece);
            std::vector<float>& w = models_[i];
            std::vector<float> g(w.size());
            for (std::int64_t k = alone_done_; k < iteration; ++k) {
                bench(i, worker).plain.gradient(w, streams_[i], g);
                for (std::size_t j = 0; j < w.size(); ++j) w[j] -= settings_.step * g[j];
            }
        });
        alone_gradients_ += (iteration - alone_done_) * nodes();
        alone_done_ = iteration;
        return {};
    }

    DecentralisedRow judge(std::int64_t iteration, DecentralisedOutcome& outcome) {
        std::vector<DecentralisedRow> rows(nodes());
        outcome.models.resize(nodes() * first_.size());
        workers_.run(static_cast<int>(nodes()), [&](int piece, int worker) {
            const auto i = static_cast<std::uint32_t>(piece);
            const std::span<float> w = std::span(outcome.models).subspan(i * first_.size(), first_.size());
            if (fleet_) {
                std::vector<float> x(layers_.split().shared_size());
                fleet_->estimate(i, x);
                layers_.compose(i, x, w);
            } else {
                std::ranges::copy(models_[i], w.begin());
            }
            rows[i] = judge_.judge(benches_[static_cast<std::size_t>(worker)]->task, i, w);
        });
        DecentralisedRow mean;
        mean.iteration = iteration;
        outcome.own_by_agent.clear();
        outcome.loss_by_agent.clear();
        const auto n = static_cast<double>(nodes());
        for (const DecentralisedRow& row : rows) {
            mean.train_loss += row.train_loss / n;
            mean.accuracy_own += row.accuracy_own / n;
            mean.accuracy_balanced += row.accuracy_balanced / n;
            mean.loss_own += row.loss_own / n;
            outcome.own_by_agent.push_back(row.accuracy_own);
            outcome.loss_by_agent.push_back(row.loss_own);
        }
        mean.consensus_error = fleet_ ? fleet_->consensus_error() : std::numeric_limits<double>::quiet_NaN();
        return mean;
    }

    DecentralisedSettings settings_;
    SharedData data_;
    Judge judge_;
    MlpShape shape_;
    Workers workers_;
    std::vector<float> first_;
    PersonalLayers layers_;
    std::vector<std::unique_ptr<Bench>> benches_;
    ChosenMixing mixing_;
    std::uint32_t edges_ = 0;
    std::unique_ptr<GossipFleet> fleet_;
    // without a fleet
    std::vector<std::vector<float>> models_;
    std::vector<Stream> streams_;
    std::int64_t alone_done_ = 0, alone_gradients_ = 0;
};

}  // namespace

std::string_view name_of(DecentralisedMethod method) {
    constexpr std::string_view names[] = {"spdb", "d2", "gnsd", "dsgd", "alone"};
    return names[static_cast<std::size_t>(method)];
}

std::string_view title_of(DecentralisedMethod method) {
    constexpr std::string_view titles[] = {"SPDB", "SPD/D2", "GNSD", "DSGD", "each alone"};
    return titles[static_cast<std::size_t>(method)];
}

Outcome<MlpShape> network_of(const DecentralisedSettings& s, const DataTable& table) {
    std::vector<int> hidden = s.hidden;
    if (s.input_transform) hidden.insert(hidden.begin(), table.features);
    auto shape = MlpShape::make(table.features, hidden, table.classes, s.activation);
    if (!shape) return refuse(shape.error(), "model.hidden");
    shape->linear_input = s.input_transform;
    return *shape;
}

Outcome<std::unique_ptr<DecentralisedTraining>> DecentralisedTraining::make(const DecentralisedSettings& s,
                                                                            int threads) {
    const auto kernels = find_kernels(s.kernels);
    if (!kernels) return refuse(kernels.error(), "kernels");
    auto data = read_data(s.data, s.seed);
    if (!data) return tl::unexpected(data.error());
    const Outcome<MlpShape> shape = network_of(s, data->table);
    if (!shape) return tl::unexpected(shape.error());
    const auto split = split_of(*shape, s.personal_layers);
    if (!split) return tl::unexpected(split.error());
    auto training = std::make_unique<Training>(s, *std::move(data), *shape, *split, **kernels, threads);
    if (Outcome<void> connected = training->connect(); !connected) return tl::unexpected(connected.error());
    return training;
}

}  // namespace dunlin
