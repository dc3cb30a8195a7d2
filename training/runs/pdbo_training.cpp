// SPDX-License-Identifier: Apache-2.0
#include "training/runs/pdbo_training.hpp"

#include "core/finite.hpp"
#include "core/optimiser.hpp"
#include "training/host/host_memory.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

namespace dunlin {
namespace {

using Clock = std::chrono::steady_clock;
using Task = MixtureClassification<float>;

/// What one thread computes with; it serves any agent.
class Bench final : public BilevelLearner {
public:
    HostMemory memory;
    Arena arena;
    Task task;
    std::vector<float> x;

    Bench(const MlpShape& shape, const Kernels<float>& kernels, const MixtureSettings& settings)
        : memory(Task::bytes(shape, settings)),
          arena(memory.bytes()),
          task(*Task::make(shape, kernels, settings, arena)),
          x(task.dimension()),
          batch_(settings.batch) {}

    void gradient(ConstVector<float> at, ConstVector<float> lambda, Stream& random, Vector<float> out) override {
        task.draw(random);
        task.gradient(at, lambda, out);
    }
    void products(ConstVector<float> at, ConstVector<float> lambda, ConstVector<float> s, Stream& random,
                  Vector<float> hessian, Vector<float> mixed) override {
        task.draw(random);
        task.products(at, lambda, s, hessian, mixed);
    }
    int outer_gradient(ConstVector<float> at, ConstVector<float> lambda, Vector<float> inner,
                       Vector<float> outer) override {
        task.outer_gradient(at, lambda, inner, outer);
        return batches(task.node.rows.size());
    }
    int batches(std::size_t rows) const { return (static_cast<int>(rows) + batch_ - 1) / batch_; }

private:
    int batch_;
};

/// A tenth of the rate in the last sixth of a stage, a hundredth in the last twelfth (appendix A.3).
float rate_at(const PdboSettings& s, int step, int steps) {
    if (12 * (steps - step) <= steps) return s.inner_rate * 0.01f;
    return 6 * (steps - step) <= steps ? s.inner_rate * 0.1f : s.inner_rate;
}

class Training final : public PdboTraining {
public:
    Training(const PdboSettings& settings, PdboData data, const MlpShape& shape, const Kernels<float>& kernels,
             int threads)
        : settings_(settings), data_(std::move(data)), shape_(shape), workers_(threads) {
        for (int worker = 0; worker < workers_.count(); ++worker) {
            benches_.push_back(std::make_unique<Bench>(shape, kernels, settings.mixture));
        }
        const std::size_t part = shape.parameters();
        start_.resize(benches_.front()->task.dimension());
        for (std::size_t k = 0; k < predictors(); ++k) {
            Stream random(settings.seed, static_cast<std::uint32_t>(k), Purpose::initialise);
            initialise(shape, random, std::span(start_).subspan(k * part, part));
        }
        lambda_.resize(agents() * predictors());
        hyper_gradient_ = mean_ = square_ = lambda_;
        steps_ = inner_steps();
    }

    Outcome<void> connect(const RandomEdges& edges) {
        BilevelFleetSettings fleet;
        fleet.seed = settings_.seed;
        fleet.outer_dimension = predictors();
        fleet.format.fraction_bits = settings_.fraction_bits;
        fleet.largest_value = settings_.largest_value;
        fleet.tap = [this](std::uint32_t node, std::span<const std::byte> bytes) {
            if (tap_) tap_(node, bytes);
        };
        const auto learner_of = [this](std::uint32_t node, int worker) -> BilevelLearner& {
            return bench(node, worker);
        };
        auto made = make_bilevel_fleet(edges, fleet, start_, learner_of, workers_);
        if (!made) return tl::unexpected(made.error());
        fleet_ = *std::move(made);
        return {};
    }

    const PdboData& data() const override { return data_; }
    const MlpShape& shape() const override { return shape_; }

    Outcome<PdboOutcome> run(const PdboHooks& hooks) override {
        const auto begin = Clock::now();
        PdboOutcome outcome;
        outcome.inner_steps_per_stage = steps_;
        outcome.parameters = fleet_->dimension();
        tap_ = hooks.tap;
        Done done;
        const auto seconds = [&] {
            return done.seconds + std::chrono::duration<double>(Clock::now() - begin).count();
        };
        if (hooks.goes_on()) {
            if (auto gone_on = go_on(hooks, done, outcome); !gone_on) return tl::unexpected(gone_on.error());
        }
        const auto save = [&](Saver& saver) {
            saver(done.stage, done.step, done.begun, done.hyper_norm, steps_, seconds(), outcome.history,
                  static_cast<std::uint64_t>(outcome.selected), outcome.accuracy_by_agent, outcome.models,
                  outcome.weights, lambda_, mean_, square_, outer_steps_);
            fleet_->save(saver);
        };
        bool stopped = false;
        for (; done.stage <= settings_.outer_steps && outcome.failure.empty() && !stopped; ++done.stage) {
            Outcome<void> lived;
            if (!done.begun && done.stage > 0 && settings_.personal()) lived = outer_step(done.hyper_norm);
            done.begun = true;
            for (; done.step < steps_ && lived; ++done.step) {
                const auto left_off = hooks.left_off(save);
                if (!left_off) return tl::unexpected(left_off.error());
                if ((stopped = *left_off)) break;
                lived = fleet_->push(lambda_, rate_at(settings_, done.step, steps_),
                                     settings_.method != PdboMethod::local);
                hooks.progress(fleet_->counters().rounds, std::int64_t{steps_} * (settings_.outer_steps + 1));
            }
            if (!lived) outcome.failure = lived.error().text;
            if (stopped && done.stage > 0) break;  // of the first stage there is something to show in any case
            if (outcome.failure.empty() || outcome.history.empty()) judge(outcome, done.stage, done.hyper_norm);
            if (Outcome<void> kept = hooks.keep(outcome.history.back()); !kept) return tl::unexpected(kept.error());
            done.step = 0;
            done.begun = false;
        }
        outcome.complete = outcome.failure.empty() && !stopped;
        if (outcome.complete) {
            if (auto kept = hooks.checkpoint(save, true); !kept) return tl::unexpected(kept.error());
        }
        outcome.counters = fleet_->counters();
        outcome.trace = fleet_->trace();
        outcome.seconds = seconds();
        tap_ = {};
        return outcome;
    }

private:
    /// How far a run has come.
    struct Done {
        int stage = 0, step = 0;  ///< that come next
        bool begun = false;       ///< the stage's outer step is over
        double hyper_norm = 0, seconds = 0;
    };

    Outcome<void> go_on(const PdboHooks& hooks, Done& done, PdboOutcome& outcome) {
        int steps = 0;
        const auto restored = hooks.go_on([&](Loader& loader) -> Result<void> {
            const std::size_t size = lambda_.size();
            std::uint64_t selected = 0;
            loader(done.stage, done.step, done.begun, done.hyper_norm, steps, done.seconds, outcome.history,
                   selected, outcome.accuracy_by_agent, outcome.models, outcome.weights, lambda_, mean_, square_,
                   outer_steps_);
            if (!loader.ok()) return {};
            outcome.selected = static_cast<std::size_t>(selected);
            for (const auto* values : {&lambda_, &mean_, &square_}) {
                if (values->size() != size) return wrong_size(values->size(), size);
            }
            if (!outcome.history.empty() && selected >= outcome.history.size()) return fail(Code::shape_mismatch);
            return fleet_->restore(loader);
        });
        if (!restored) return restored;
        const int begun = done.stage - (done.begun ? 0 : 1);
        if (auto fits = RunPauses::check_length("method.outer_steps", settings_.outer_steps, begun); !fits)
            return fits;
        if (steps != steps_)
            return refuse(fmt::format(
                "method.outer_steps = {}: with method.budget = gradients the stages of this method would "
                "have {} inner steps, and those so far had {}: begin a run of that length",
                settings_.outer_steps, steps_, steps));
        for (const PdboRow& row : outcome.history) {
            if (auto kept = hooks.keep(row); !kept) return kept;
        }
        return {};
    }

    std::size_t agents() const { return data_.parts.size(); }
    std::size_t predictors() const { return static_cast<std::size_t>(settings_.mixture.predictors); }

    Bench& bench(std::uint32_t agent, int worker) {
        Bench& own = *benches_[static_cast<std::size_t>(worker)];
        own.task.node = data_.train(agent);
        return own;
    }

    /// T, and for methods that are cheaper than PDBO-MTL what it spends on outer steps (gradients of an agent, on
    /// average), spread over the stages.
    int inner_steps() const {
        if (settings_.budget == PdboBudget::inner_steps || settings_.method == PdboMethod::pdbo_mtl) {
            return settings_.inner_steps;
        }
        const double series = settings_.neumann_steps * (settings_.one_sample ? 2.0 : 4.0);
        double own = 0;  // of an outer gradient
        for (const NodeRows& part : data_.parts) own += benches_.front()->batches(part.train.size());
        own /= static_cast<double>(agents());
        const double spared = settings_.method == PdboMethod::pdbo_mtl_local ? series : series + own;
        return settings_.inner_steps +
               static_cast<int>(std::lround(spared * settings_.outer_steps / (settings_.outer_steps + 1)));
    }

    Outcome<void> outer_step(double& norm) {
        HyperGradientSettings how;
        how.steps = settings_.method == PdboMethod::pdbo_mtl ? settings_.neumann_steps : 0;
        how.inner_rate = settings_.inner_rate;
        how.one_sample = settings_.one_sample;
        if (Outcome<void> done = fleet_->hyper_gradient(lambda_, how, hyper_gradient_); !done) return done;
        norm = std::sqrt(static_cast<double>(dot<float>(hyper_gradient_, hyper_gradient_)));
        const Adam adam{.rate = settings_.outer_rate, .mean_decay = 0.9f, .square_decay = 0.99f};
        Adam::State<float> state{mean_, square_, outer_steps_};
        adam.step<float>(lambda_, hyper_gradient_, state);  // component by component: all agents at once
        outer_steps_ = state.steps;
        return {};
    }

    /// Adds a row; keeps what belongs to it if it is the best so far.
    void judge(PdboOutcome& outcome, int stage, double hyper_norm) {
        const double none = std::numeric_limits<double>::quiet_NaN();
        std::vector<double> validation(agents()), test(agents()), loss(agents());
        workers_.run(static_cast<int>(agents()), [&](int piece, int worker) {
            const auto agent = static_cast<std::uint32_t>(piece);
            const auto at = static_cast<std::size_t>(piece);
            Bench& own = bench(agent, worker);
            fleet_->estimate(agent, own.x);
            const ConstVector<float> lambda = std::span(lambda_).subspan(at * predictors(), predictors());
            const LabelledRows rows = data_.validate(agent);
            validation[at] = rows.rows.empty() ? none : own.task.evaluate(rows, own.x, lambda).accuracy();
            test[at] = own.task.evaluate(data_.test(agent), own.x, lambda).accuracy();
            loss[at] = own.task.evaluate(data_.train(agent), own.x, lambda).loss();
        });
        const auto mean = [](const std::vector<double>& values) {
            double sum = 0, count = 0;
            for (const double value : values) {
                if (std::isnan(value)) continue;
                sum += value;
                ++count;
            }
            return count > 0 ? sum / count : 0.0;
        };
        const BilevelCounters& counters = fleet_->counters();
        outcome.history.push_back(
            {.stage = stage,
             .inner_steps = counters.rounds,
             .gradients = static_cast<double>(counters.gradients) / static_cast<double>(agents()),
             .validation_accuracy = mean(validation),
             .test_accuracy = mean(test),
             .bottom_decile = bottom_decile(test),
             .train_loss = mean(loss),
             .hyper_norm = hyper_norm});
        if (stage > 0 && !(outcome.history.back().validation_accuracy > outcome.best().validation_accuracy)) return;
        outcome.selected = outcome.history.size() - 1;
        outcome.accuracy_by_agent = test;
        outcome.models.resize(agents() * start_.size());
        for (std::uint32_t i = 0; i < agents(); ++i)
            fleet_->estimate(i, std::span(outcome.models).subspan(i * start_.size(), start_.size()));
        outcome.weights = lambda_;
        for (std::size_t first = 0; first < lambda_.size(); first += predictors()) {
            const std::span<float> own = std::span(outcome.weights).subspan(first, predictors());
            const float largest = *std::max_element(own.begin(), own.end());
            for (float& value : own) value = std::exp(value - largest);
            const float total = std::accumulate(own.begin(), own.end(), 0.0f);
            for (float& value : own) value /= total;
        }
    }

    PdboSettings settings_;
    PdboData data_;
    MlpShape shape_;
    Workers workers_;
    std::vector<std::unique_ptr<Bench>> benches_;
    std::vector<float> start_, lambda_, hyper_gradient_, mean_, square_;
    std::int64_t outer_steps_ = 0;
    int steps_ = 0;
    std::unique_ptr<BilevelFleet> fleet_;
    std::function<void(std::uint32_t, std::span<const std::byte>)> tap_;
};

}  // namespace

double bottom_decile(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const double place = 0.1 * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, values.size() - 1);
    return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

Outcome<std::unique_ptr<PdboTraining>> PdboTraining::make(const PdboSettings& s, int threads) {
    const auto kernels = find_kernels(s.kernels);
    if (!kernels) return refuse(kernels.error(), "kernels = \"" + s.kernels + "\"");
    const auto edges =
        RandomEdges::make(static_cast<std::uint32_t>(s.agents), s.probability_low, s.probability_high, s.seed);
    if (!edges) {
        return refuse(
            fmt::format("network.probability_low = {}, network.probability_high = {}: expected two "
                        "probabilities above 0, the lower one first",
                        s.probability_low, s.probability_high));
    }
    Outcome<PdboData> data = make_pdbo_data(s);
    if (!data) return tl::unexpected(data.error());
    const auto shape = MlpShape::make(data->table.features, s.hidden, data->table.classes, s.activation);
    if (!shape) return refuse(shape.error(), "model.hidden");
    const auto predictors = static_cast<std::size_t>(s.mixture.predictors);
    const std::size_t dimension = shape->parameters() * predictors;
    const std::size_t needed = bilevel_fleet_bytes(edges->nodes(), dimension, predictors) +
                               static_cast<std::size_t>(threads) * Task::bytes(*shape, s.mixture);
    if (needed > machine_memory()) {
        return refuse(
            fmt::format("model.predictors = {}: {} agents with {} parameters each need {} MB of memory, and "
                        "this machine has {}; use fewer predictors, agents or hidden units",
                        predictors, s.agents, dimension, needed >> 20, machine_memory() >> 20));
    }
    auto training = std::make_unique<Training>(s, *std::move(data), *shape, **kernels, threads);
    if (Outcome<void> connected = training->connect(*edges); !connected) return tl::unexpected(connected.error());
    return training;
}

}  // namespace dunlin
