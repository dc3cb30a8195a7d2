// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/stop.hpp"
#include "rl/adaptation.hpp"
#include "rl/meta_learning.hpp"
#include "rl/policy_gradient_task.hpp"
#include "training/host/host_memory.hpp"
#include "training/host/workers.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

namespace dunlin {

struct MetaTrainerSettings {
    MetaSettings meta;
    RolloutSettings rollout;
    std::uint64_t seed = 1;
    int threads = 1;
    float output_gain = 0.01f;      ///< of the policy's last layer at the start: near uniform
    float first_log_sigma = -0.5f;  ///< of a Gaussian policy
};

/// All that a run needs to go on where it stopped, as plain numbers.
struct MetaTrainerState {
    std::int64_t iteration = 0;
    std::int64_t environment_steps = 0;
    std::int64_t gradients = 0;
    std::int64_t optimiser_steps = 0;
    std::vector<float> parameters, mean, square, value_means;
    std::vector<std::int32_t> value_counts;
    std::vector<std::uint64_t> stream_epochs;  ///< of each task

    template <class Archive>
    void fields(Archive& archive) {
        archive(iteration, environment_steps, gradients, optimiser_steps, parameters, mean, square, value_means,
                value_counts, stream_epochs);
    }
};

/// Meta-training in one process: an iteration draws a batch of tasks, learns on each (in parallel) and takes the
/// outer step. The same seed gives the same numbers for any number of threads: a task's draws come from the task's
/// own stream, and contributions are added in order.
template <Environment E, class Policy>
class MetaTrainer {
public:
    using Task = PolicyGradientTask<E, Policy>;

    /// `tasks` is not empty; settings.meta.task_batch is at most their number.
    MetaTrainer(const Policy& policy, const MetaTrainerSettings& settings, std::vector<E> tasks)
        : policy_(policy),
          settings_(settings),
          tasks_(std::move(tasks)),
          workers_(worker_count(settings)),
          learner_memory_(MetaLearner<float>::bytes(settings.meta, policy.parameters(), task_count())),
          learner_arena_(learner_memory_.bytes()),
          learner_(settings.meta, policy.parameters(), task_count(), learner_arena_) {
        settings_.rollout.slots = settings.meta.slots();
        for (int worker = 0; worker < workers_.count(); ++worker) {
            benches_.push_back(std::make_unique<Bench>(policy_, settings_, limits(tasks_)));
        }
        for (int task = 0; task < task_count(); ++task) {
            streams_.emplace_back(settings.seed, static_cast<std::uint32_t>(task), Purpose::rollout);
        }
        std::ranges::copy(first_parameters(), learner_.parameters().begin());
    }

    /// What training begins with: an untrained policy, by the seed.
    std::vector<float> first_parameters() const {
        std::vector<float> first(policy_.parameters());
        Stream random(settings_.seed, 0, Purpose::initialise);
        initialise(policy_.network.shape, random, Vector<float>(first), settings_.output_gain);
        if constexpr (Policy::continuous)
            std::fill_n(policy_.log_sigma(first.data()), policy_.actions(), settings_.first_log_sigma);
        return first;
    }

    /// Bytes that a trainer's learning will take: what to look at before making one.
    static std::size_t bytes(const Policy& policy, MetaTrainerSettings settings, const std::vector<E>& tasks) {
        settings.rollout.slots = settings.meta.slots();
        return MetaLearner<float>::bytes(settings.meta, policy.parameters(), static_cast<int>(tasks.size())) +
               static_cast<std::size_t>(worker_count(settings)) * Bench::bytes(policy, settings, limits(tasks));
    }

    const Policy& policy() const { return policy_; }
    const MetaTrainerSettings& settings() const { return settings_; }
    const std::vector<E>& tasks() const { return tasks_; }
    int task_count() const { return static_cast<int>(tasks_.size()); }
    ConstVector<float> parameters() const { return std::as_const(learner_).parameters(); }
    std::int64_t iteration() const { return iteration_; }
    std::int64_t gradients() const { return gradients_; }  ///< task gradients taken so far
    std::int64_t environment_steps() const { return environment_steps_; }
    /// Environment steps that the last `adapt` drew to learn from, over all of its environments.
    std::int64_t adaptation_environment_steps() const { return adaptation_steps_; }
    bool evaluates_per_state() const { return benches_.front()->task.evaluates_per_state(); }

    /// From now on asked between tasks and between the steps of an adaptation.
    void stop_when(StopAsked stop) { stop_ = stop; }

    /// One meta-iteration. Error: not_finite; then the parameters are those of the iteration before. Where `stop`
    /// is asked, nothing has changed, and the iteration is still to be done.
    Result<void> iterate() {
        const std::vector<int> chosen = draw_tasks();
        const std::vector<Stream> streams = streams_;
        const std::vector<float> means(learner_.value_means().begin(), learner_.value_means().end());
        const std::vector<std::int32_t> counts(learner_.value_counts().begin(), learner_.value_counts().end());
        std::atomic<bool> left_off = false;
        std::vector<std::int64_t> steps(chosen.size()), taken(chosen.size());
        workers_.run(static_cast<int>(chosen.size()), [&](int b, int worker) {
            if (stop_()) left_off = true;
            if (left_off) return;
            Bench& bench = *benches_[static_cast<std::size_t>(worker)];
            const int number = chosen[static_cast<std::size_t>(b)];
            const std::int64_t before = bench.task.steps();
            bench.task.set_environment(tasks_[static_cast<std::size_t>(number)]);
            taken[static_cast<std::size_t>(b)] =
                learner_.learn(b, number, bench.task, streams_[static_cast<std::size_t>(number)], bench.scratch);
            steps[static_cast<std::size_t>(b)] = bench.task.steps() - before;
        });
        if (left_off) {
            streams_ = streams;
            std::ranges::copy(means, learner_.value_means().begin());
            std::ranges::copy(counts, learner_.value_counts().begin());
            return {};
        }
        const Result<void> updated = learner_.update(iteration_);
        if (!updated) return updated;
        environment_steps_ += std::accumulate(steps.begin(), steps.end(), std::int64_t{0});
        gradients_ += std::accumulate(taken.begin(), taken.end(), std::int64_t{0});
        ++iteration_;
        return {};
    }

    /// Takes parameters w to environments, which need not be those of training (of the same sizes), by `steps`
    /// steps of the inner loop each, in parallel: visit(number, k, theta_k, task) is called for k = 0 (w itself) to
    /// `steps`, for different environments from different threads. The visitor may draw from `task` with a stream
    /// of its own. These draws do not count as training. Different `epoch`s draw different numbers, the same one
    /// the same.
    template <class Visit>
    void adapt(ConstVector<float> w, const std::vector<E>& environments, int steps, std::uint64_t epoch,
               Visit&& visit) {
        adaptation_steps_ = 0;
        workers_.run(static_cast<int>(environments.size()), [&](int number, int worker) {
            if (stop_()) return;
            Bench& bench = *benches_[static_cast<std::size_t>(worker)];
            std::int64_t learned_from = 0, before = bench.task.steps();
            Stream random = adaptation_stream(settings_.seed, static_cast<std::uint32_t>(number), epoch);
            const std::size_t d = w.size();
            adapt_to(environments[static_cast<std::size_t>(number)], settings_.meta.adaptation(), w, steps, random,
                     bench.task, bench.scratch.first(d), bench.scratch.subspan(d, d),
                     [&](int k, ConstVector<float> personal) {
                         learned_from += bench.task.steps() - before;
                         visit(number, k, personal, bench.task);
                         before = bench.task.steps();
                         return !stop_();
                     });
            adaptation_steps_ += learned_from;
        });
    }

    MetaTrainerState save() {
        MetaTrainerState state;
        state.iteration = iteration_;
        state.environment_steps = environment_steps_;
        state.gradients = gradients_;
        state.optimiser_steps = learner_.moments().steps;
        const auto copy = [](auto from) { return std::vector(from.begin(), from.end()); };
        state.parameters = copy(learner_.parameters());
        state.mean = copy(learner_.moments().mean);
        state.square = copy(learner_.moments().square);
        state.value_means = copy(learner_.value_means());
        state.value_counts = copy(learner_.value_counts());
        for (const Stream& stream : streams_) state.stream_epochs.push_back(stream.epoch());
        return state;
    }

    /// Goes on from a saved state. Error: shape_mismatch; then nothing changed.
    Result<void> restore(const MetaTrainerState& state) {
        const std::size_t d = policy_.parameters(), n = tasks_.size();
        for (const auto* part : {&state.parameters, &state.mean, &state.square}) {
            if (part->size() != d)
                return fail(Code::shape_mismatch, std::ssize(*part), static_cast<std::int64_t>(d));
        }
        if (state.value_means.size() != n || state.value_counts.size() != n || state.stream_epochs.size() != n) {
            return fail(Code::shape_mismatch, std::ssize(state.stream_epochs), static_cast<std::int64_t>(n));
        }
        iteration_ = state.iteration;
        environment_steps_ = state.environment_steps;
        gradients_ = state.gradients;
        learner_.moments().steps = state.optimiser_steps;
        std::ranges::copy(state.parameters, learner_.parameters().begin());
        std::ranges::copy(state.mean, learner_.moments().mean.begin());
        std::ranges::copy(state.square, learner_.moments().square.begin());
        std::ranges::copy(state.value_means, learner_.value_means().begin());
        std::ranges::copy(state.value_counts, learner_.value_counts().begin());
        for (std::size_t task = 0; task < n; ++task) streams_[task].seek_epoch(state.stream_epochs[task]);
        return {};
    }

private:
    /// What one thread works with.
    struct Bench {
        Bench(const Policy& policy, const MetaTrainerSettings& settings, const RolloutLimits& limits)
            : memory(bytes(policy, settings, limits)),
              arena(memory.bytes()),
              task(policy, settings.rollout, limits, arena),
              scratch(arena.take<float>(scratch_floats(policy, settings))) {}
        static std::size_t bytes(const Policy& policy, const MetaTrainerSettings& settings,
                                 const RolloutLimits& limits) {
            return Task::bytes(policy, settings.rollout, limits) +
                   Arena::bytes<float>(scratch_floats(policy, settings));
        }
        /// Room for `adapt` too.
        static std::size_t scratch_floats(const Policy& policy, const MetaTrainerSettings& settings) {
            const std::size_t d = policy.parameters();
            return std::max(MetaLearner<float>::scratch(settings.meta, d), 2 * d);
        }

        HostMemory memory;
        Arena arena;
        Task task;
        Vector<float> scratch;
    };

    static int worker_count(const MetaTrainerSettings& settings) {
        return std::min(settings.threads, settings.meta.task_batch);
    }

    static RolloutLimits limits(const std::vector<E>& tasks) {
        RolloutLimits limits;
        for (const E& task : tasks) {
            limits.horizon = std::max(limits.horizon, static_cast<int>(task.horizon()));
            limits.observations = std::max(limits.observations, static_cast<int>(task.observation_size()));
            if constexpr (FiniteEnvironment<E>) {
                limits.states = std::max(limits.states, static_cast<int>(task.state_count()));
            }
        }
        return limits;
    }

    /// B different tasks.
    std::vector<int> draw_tasks() {
        std::vector<int> all(tasks_.size());
        std::iota(all.begin(), all.end(), 0);
        const auto count = static_cast<std::size_t>(settings_.meta.task_batch);
        if (count < all.size()) {
            Stream random(settings_.seed, 0, Purpose::tasks);
            random.seek_epoch(static_cast<std::uint64_t>(iteration_));
            for (std::size_t b = 0; b < count; ++b) {
                std::swap(all[b], all[b + random.below(static_cast<std::uint32_t>(all.size() - b))]);
            }
            all.resize(count);
        }
        return all;
    }

    Policy policy_;
    MetaTrainerSettings settings_;
    std::vector<E> tasks_;
    Workers workers_;
    HostMemory learner_memory_;
    Arena learner_arena_;
    MetaLearner<float> learner_;
    std::vector<std::unique_ptr<Bench>> benches_;
    std::vector<Stream> streams_;
    StopAsked stop_ = never_asked;
    std::int64_t iteration_ = 0;
    std::int64_t environment_steps_ = 0;
    std::int64_t gradients_ = 0;
    std::atomic<std::int64_t> adaptation_steps_ = 0;
};

}  // namespace dunlin
