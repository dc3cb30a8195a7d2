// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/stop.hpp"
#include "rl/actor_critic.hpp"
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
    std::vector<float> parameters;  ///< all that is learned: MetaLearner::learned
    std::vector<float> mean, square, value_means;
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
        for (int bench = 0; bench < bench_count(settings); ++bench) {
            benches_.push_back(std::make_unique<Bench>(policy_, settings_, limits(tasks_)));
        }
        for (int task = 0; task < task_count(); ++task) {
            streams_.emplace_back(settings.seed, static_cast<std::uint32_t>(task), Purpose::rollout);
        }
        std::ranges::copy(first_learned(), learner_.learned().begin());
        if (settings.meta.method == MetaMethod::anil) mark_last_layers(policy_, learner_.step_sizes());
    }

    /// What training begins with: an untrained policy, by the seed, and step sizes of 1.
    std::vector<float> first_learned() const {
        const std::size_t d = policy_.parameters();
        std::vector<float> first(settings_.meta.learned(d), 1.0f);
        std::fill_n(first.begin(), d, 0.0f);
        Stream random(settings_.seed, 0, Purpose::initialise);
        initialise(policy_.network.shape, random, Vector<float>(first), settings_.output_gain);
        if constexpr (Policy::continuous)
            std::fill_n(policy_.log_sigma(first.data()), policy_.actions(), settings_.first_log_sigma);
        if constexpr (MayCriticise<Policy>) {
            if (policy_.criticises()) {
                initialise(policy_.critic.shape, random, policy_.critic_part(Vector<float>(first)),
                           settings_.output_gain);
            }
        }
        return first;
    }

    /// Bytes that a trainer's learning will take: what to look at before making one.
    static std::size_t bytes(const Policy& policy, MetaTrainerSettings settings, const std::vector<E>& tasks) {
        settings.rollout.slots = settings.meta.slots();
        return MetaLearner<float>::bytes(settings.meta, policy.parameters(), static_cast<int>(tasks.size())) +
               static_cast<std::size_t>(bench_count(settings)) * Bench::bytes(policy, settings, limits(tasks));
    }

    const Policy& policy() const { return policy_; }
    const MetaTrainerSettings& settings() const { return settings_; }
    const std::vector<E>& tasks() const { return tasks_; }
    int task_count() const { return static_cast<int>(tasks_.size()); }
    ConstVector<float> parameters() const { return std::as_const(learner_).parameters(); }
    /// The parameters and, behind them, learned step sizes.
    ConstVector<float> learned() const { return std::as_const(learner_).learned(); }
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
        const MetaTrainerState before = save();
        std::vector<std::int64_t> steps(chosen.size()), taken(chosen.size());
        const int epochs = settings_.meta.outer_epochs;
        Result<void> updated;
        for (int epoch = 0; epoch < epochs && updated; ++epoch) {
            std::atomic<bool> left_off = false;
            workers_.run(static_cast<int>(chosen.size()), [&](int b, int worker) {
                if (stop_()) left_off = true;
                if (left_off) return;
                // Whose trajectories are used again keeps them.
                Bench& bench =
                    *benches_[static_cast<std::size_t>(settings_.meta.keeps_trajectories() ? b : worker)];
                const auto at = static_cast<std::size_t>(b);
                const int number = chosen[at];
                Stream& random = streams_[static_cast<std::size_t>(number)];
                const std::int64_t drawn = bench.task.steps();
                if (epoch == 0) {
                    bench.task.set_environment(tasks_[static_cast<std::size_t>(number)]);
                    taken[at] += learner_.learn(b, number, bench.task, random, bench.scratch);
                } else {
                    DrawnTask<Task> again{bench.task};
                    taken[at] += learner_.learn(b, number, again, random, bench.scratch);
                }
                steps[at] += bench.task.steps() - drawn;
            });
            if (left_off) return restore(before);
            if (settings_.meta.outer_step != OuterStep::trpo) {
                updated = learner_.update(iteration_);
            } else if (updated = learner_.gather(); updated) {
                trust_region_step(chosen, taken);
                if (stop_()) return restore(before);
            }
        }
        if (!updated) {
            if (epochs == 1 && settings_.meta.outer_step != OuterStep::trpo) return updated;
            const Result<void> back = restore(before);
            return back ? updated : back;
        }
        environment_steps_ += std::accumulate(steps.begin(), steps.end(), std::int64_t{0});
        gradients_ += std::accumulate(taken.begin(), taken.end(), std::int64_t{0});
        ++iteration_;
        return {};
    }

    /// Takes what was learned (`learned`, or parameters alone: then step sizes are as they are now) to environments,
    /// which need not be those of training (of the same sizes), by `steps` batches of the inner loop each, in parallel: visit(number, k, theta_k, task) is called for k = 0 (w itself) to
    /// `steps`, for different environments from different threads. The visitor may draw from `task` with a stream
    /// of its own. These draws do not count as training. Different `epoch`s draw different numbers, the same one
    /// the same.
    template <class Visit>
    void adapt(ConstVector<float> learned, const std::vector<E>& environments, int steps, std::uint64_t epoch,
               Visit&& visit) {
        const ConstVector<float> w = learned.first(policy_.parameters()), own = learned.subspan(w.size());
        const InnerSteps<float> inner(settings_.meta.adaptation(),
                                      own.empty() ? std::as_const(learner_).step_sizes() : own,
                                      settings_.meta.batch_steps);
        adaptation_steps_ = 0;
        workers_.run(static_cast<int>(environments.size()), [&](int number, int worker) {
            if (stop_()) return;
            Bench& bench = *benches_[static_cast<std::size_t>(worker)];
            std::int64_t learned_from = 0, before = bench.task.steps();
            Stream random = adaptation_stream(settings_.seed, static_cast<std::uint32_t>(number), epoch);
            const std::size_t d = w.size();
            adapt_to(environments[static_cast<std::size_t>(number)], inner, w, steps, random, bench.task,
                     bench.scratch.first(d), bench.scratch.subspan(d, d), [&](int k, ConstVector<float> personal) {
                         learned_from += bench.task.steps() - before;
                         visit(number, k, personal, bench.task);
                         before = bench.task.steps();
                         return !stop_();
                     });
            adaptation_steps_ += learned_from;
        });
    }

    /// Outer steps of TRPO, in this process, that found no length within the trust region that lowers the loss, and so
    /// did not move the parameters.
    std::int64_t stayed() const { return stayed_; }
    /// The last outer step of TRPO.
    const TrustRegion::Outcome& trust_region() const { return trust_region_; }

    MetaTrainerState save() {
        MetaTrainerState state;
        state.iteration = iteration_;
        state.environment_steps = environment_steps_;
        state.gradients = gradients_;
        state.optimiser_steps = learner_.moments().steps;
        const auto copy = [](auto from) { return std::vector(from.begin(), from.end()); };
        state.parameters = copy(learner_.learned());
        state.mean = copy(learner_.moments().mean);
        state.square = copy(learner_.moments().square);
        state.value_means = copy(learner_.value_means());
        state.value_counts = copy(learner_.value_counts());
        for (const Stream& stream : streams_) state.stream_epochs.push_back(stream.epoch());
        return state;
    }

    /// Goes on from a saved state. Error: shape_mismatch; then nothing changed.
    Result<void> restore(const MetaTrainerState& state) {
        const std::size_t d = learner_.learned().size(), n = tasks_.size();
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
        std::ranges::copy(state.parameters, learner_.learned().begin());
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
    static int bench_count(const MetaTrainerSettings& settings) {
        return settings.meta.keeps_trajectories() ? settings.meta.task_batch : worker_count(settings);
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

    /// TRPO's outer step on the trajectories that the benches keep, whose gradient was gathered. Personal parameters are
    /// taken to move as the meta-parameters do, as first-order MAML has it, in the Fisher information alone: trial steps
    /// are judged after inner steps from them.
    void trust_region_step(const std::vector<int>& chosen, std::vector<std::int64_t>& taken) {
        const int tasks = static_cast<int>(chosen.size()), last = settings_.meta.slots() - 1;
        const std::size_t d = policy_.parameters();
        const float share = 1.0f / static_cast<float>(tasks);
        std::vector<std::vector<float>> personal(chosen.size());
        std::vector<float> losses(chosen.size()), divergences(chosen.size()), scratch(TrustRegion::scratch(d));
        const auto sum = [](const std::vector<float>& values) {
            return std::accumulate(values.begin(), values.end(), 0.0f);
        };
        workers_.run(tasks, [&](int b, int) {
            const auto at = static_cast<std::size_t>(b);
            Task& task = benches_[at]->task;
            const ConstVector<float> under = task.asked_under(last);
            personal[at].assign(under.begin(), under.end());
            losses[at] = task.surrogate(last, ConstVector<float>(personal[at]));
        });
        const auto fisher = [&](ConstVector<float> v, Vector<float> out) {
            // A difference of gradients of the divergence, which has none where the batch was drawn.
            const float apart = fisher_distance / std::max(portable::sqrt(dot(v, v)), 1e-20f);
            workers_.run(tasks, [&](int b, int) {
                const auto at = static_cast<std::size_t>(b);
                const Vector<float> near = benches_[at]->scratch.first(d);
                for (std::size_t k = 0; k < d; ++k) near[k] = personal[at][k] + apart * v[k];
                benches_[at]->task.divergence_gradient(last, ConstVector<float>(near), learner_.contribution(b));
                ++taken[at];
            });
            learner_.average(share / apart, out);
        };
        const auto judge = [&](ConstVector<float>) {
            workers_.run(tasks, [&](int b, int) {
                const auto at = static_cast<std::size_t>(b);
                Bench& bench = *benches_[at];
                DrawnTask<Task> again{bench.task};
                Stream none = streams_[static_cast<std::size_t>(chosen[at])];
                taken[at] += learner_.learn(b, chosen[at], again, none, bench.scratch);
                const ConstVector<float> under = bench.task.asked_under(last);
                const std::vector<float> here(under.begin(), under.end());
                losses[at] = bench.task.surrogate(last, ConstVector<float>(here));
                divergences[at] = bench.task.divergence(last, ConstVector<float>(here));
            });
            return TrustRegion::Trial<float>{share * sum(losses), share * sum(divergences)};
        };
        trust_region_ = settings_.meta.trust.step<float>(learner_.parameters(), learner_.mean(),
                                                         share * sum(losses), scratch, fisher, judge);
        if (!trust_region_.moved) ++stayed_;
    }
    /// How far parameters move for a product with the Fisher information: log-probabilities then change by about 0.01.
    static constexpr float fisher_distance = 0.01f;

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
    TrustRegion::Outcome trust_region_;
    std::int64_t stayed_ = 0;
    std::atomic<std::int64_t> adaptation_steps_ = 0;
};

}  // namespace dunlin
