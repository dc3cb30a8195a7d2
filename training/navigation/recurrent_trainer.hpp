// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/optimiser.hpp"
#include "core/stop.hpp"
#include "rl/adaptation.hpp"
#include "rl/recurrent_task.hpp"
#include "training/host/host_memory.hpp"
#include "training/host/workers.hpp"
#include "training/navigation/meta_trainer.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

namespace dunlin {

/// How a recurrent policy is learned.
struct RecurrentSettings {
    LayerKind cell = LayerKind::gru;
    int encoder = 64, units = 64;
    int trials = 128;  ///< of an iteration, each of a task of its own
    int epochs = 4;    ///< gradient steps that an iteration's trials serve
    float gradient_clip = 0.5f;
    Adam outer{.rate = 1e-3f};
    TrialSettings trial;  ///< but for the trials of a piece, steps and discount
};

/// Learns a recurrent policy from trials in one process: an iteration samples trials of tasks drawn anew and takes some
/// steps of Adam by PPO's gradient through time. The same seed gives the same numbers for any number of threads: trials
/// are cut into pieces of piece_trials, whose gradients are added in order.
template <DiscreteEnvironment E>
class RecurrentTrainer {
public:
    static constexpr int piece_trials = 32;

    /// `tasks` is not empty; settings.trials is a multiple of piece_trials.
    RecurrentTrainer(const RecurrentPolicy<float>& policy, const RecurrentSettings& settings, std::uint64_t seed,
                     float output_gain, int threads, std::vector<E> tasks)
        : policy_(policy),
          settings_(settings),
          seed_(seed),
          output_gain_(output_gain),
          tasks_(std::move(tasks)),
          workers_(threads),
          w_(first_parameters()),
          mean_(w_.size()),
          square_(w_.size()),
          moments_{mean_, square_, 0} {
        settings_.trial.trials = piece_trials;
        for (int k = 0; k < settings.trials / piece_trials; ++k)
            pieces_.push_back(std::make_unique<Piece>(policy_, settings_.trial, observations(), 1));
    }

    /// Bytes that training takes.
    static std::size_t bytes(const RecurrentPolicy<float>& policy, const RecurrentSettings& settings,
                             int observations) {
        TrialSettings trial = settings.trial;
        trial.trials = piece_trials;
        return static_cast<std::size_t>(settings.trials / piece_trials) *
               (Task::bytes(policy, trial, observations, 1) + policy.parameters() * sizeof(float));
    }

    std::vector<float> first_parameters() const {
        std::vector<float> first(policy_.parameters());
        Stream random(seed_, 0, Purpose::initialise);
        policy_.initialise(random, first, output_gain_);
        return first;
    }

    const RecurrentPolicy<float>& policy() const { return policy_; }
    ConstVector<float> parameters() const { return w_; }
    std::int64_t iteration() const { return iteration_; }
    std::int64_t gradients() const { return gradients_; }
    std::int64_t environment_steps() const { return environment_steps_; }
    std::int64_t adaptation_environment_steps() const { return adaptation_steps_; }
    void stop_when(StopAsked stop) { stop_ = stop; }

    /// One iteration. Error: not_finite; then all is as before. Where `stop` is asked nothing has changed.
    Result<void> iterate() {
        const int pieces = static_cast<int>(pieces_.size());
        Stream random(seed_, 0, Purpose::rollout), choice(seed_, 0, Purpose::tasks);
        random.seek_epoch(static_cast<std::uint64_t>(iteration_) + 1);
        choice.seek_epoch(static_cast<std::uint64_t>(iteration_));
        std::vector<const E*> chosen;
        for (int c = 0; c < pieces * piece_trials; ++c)
            chosen.push_back(&tasks_[choice.below(static_cast<std::uint32_t>(tasks_.size()))]);
        workers_.run(pieces, [&](int piece, int) {
            if (stop_()) return;
            const int first = piece * piece_trials;
            at(piece).task.sample(w_.data(),
                                  std::span(chosen).subspan(static_cast<std::size_t>(first), piece_trials), random,
                                  static_cast<std::uint32_t>(first));
        });
        if (stop_()) return {};
        const double steps = static_cast<double>(at(0).task.steps()) * pieces;
        normalise(steps);

        const std::vector<float> before = w_, mean = mean_, square = square_;
        const std::int64_t adam_steps = moments_.steps;
        for (int epoch = 0; epoch < settings_.epochs; ++epoch) {
            workers_.run(pieces, [&](int piece, int) {
                std::ranges::fill(at(piece).gradient, 0.0f);
                at(piece).task.gradient(w_.data(), static_cast<float>(1.0 / steps), epoch == 0,
                                        at(piece).gradient.data());
            });
            std::vector<float>& sum = at(0).gradient;
            for (int piece = 1; piece < pieces; ++piece) {
                for (std::size_t k = 0; k < sum.size(); ++k) sum[k] += at(piece).gradient[k];
            }
            const auto wrong = std::ranges::find_if(sum, [](float g) { return !std::isfinite(g * g); });
            if (wrong != sum.end()) {
                w_ = before;
                std::ranges::copy(mean, mean_.begin());
                std::ranges::copy(square, square_.begin());
                moments_.steps = adam_steps;
                return fail(Code::not_finite, wrong - sum.begin());
            }
            const float scale = clip_scale<float>(sum, settings_.gradient_clip);
            for (float& g : sum) g *= scale;
            settings_.outer.step<float>(w_, sum, moments_);
        }
        environment_steps_ += static_cast<std::int64_t>(steps);
        gradients_ += std::int64_t{settings_.epochs} * pieces * piece_trials;
        ++iteration_;
        return {};
    }

    /// Runs piece_trials trials of `trajectories` trajectories in every environment: visit(number, task) for each, from different
    /// threads. Counts as adaptation all but the last trajectory of one trial.
    template <class Visit>
    void trials(ConstVector<float> w, const std::vector<E>& environments, int trajectories, std::uint64_t epoch,
                Visit&& visit) {
        TrialSettings trial = settings_.trial;
        int horizon = 1;
        for (const E& environment : environments) horizon = std::max(horizon, environment.horizon());
        trial.steps = trajectories * horizon;
        std::vector<std::unique_ptr<Piece>> own(static_cast<std::size_t>(workers_.count()));
        adaptation_steps_ = 0;
        workers_.run(static_cast<int>(environments.size()), [&](int number, int worker) {
            if (stop_()) return;
            auto& piece = own[static_cast<std::size_t>(worker)];
            if (!piece) piece = std::make_unique<Piece>(policy_, trial, observations(), trajectories);
            const std::vector<const E*> same(piece_trials, &environments[static_cast<std::size_t>(number)]);
            piece->task.sample(w.data(), same, adaptation_stream(seed_, static_cast<std::uint32_t>(number), epoch),
                               0);
            adaptation_steps_ += std::int64_t{trajectories - 1} * horizon;
            visit(number, std::as_const(piece->task));
        });
    }

    MetaTrainerState save() const {
        return {.iteration = iteration_,
                .environment_steps = environment_steps_,
                .gradients = gradients_,
                .optimiser_steps = moments_.steps,
                .parameters = w_,
                .mean = mean_,
                .square = square_,
                .value_means = {},
                .value_counts = {},
                .stream_epochs = {}};
    }
    /// Goes on from a saved state; of a model's parameters, which have no value head, that stays as it is. Error: shape_mismatch;
    /// then nothing changed.
    Result<void> restore(const MetaTrainerState& state) {
        const std::size_t given = state.parameters.size();
        if ((given != w_.size() && given != policy_.policy_parameters()) || state.mean.size() != w_.size() ||
            state.square.size() != w_.size())
            return fail(Code::shape_mismatch, static_cast<std::int64_t>(given), std::ssize(w_));
        iteration_ = state.iteration;
        environment_steps_ = state.environment_steps;
        gradients_ = state.gradients;
        moments_.steps = state.optimiser_steps;
        std::ranges::copy(state.parameters, w_.begin());
        std::ranges::copy(state.mean, mean_.begin());
        std::ranges::copy(state.square, square_.begin());
        return {};
    }

private:
    using Task = RecurrentTask<E>;
    struct Piece {
        Piece(const RecurrentPolicy<float>& policy, const TrialSettings& trial, int observations, int episodes)
            : memory(Task::bytes(policy, trial, observations, episodes)),
              arena(memory.bytes()),
              task(policy, trial, observations, episodes, arena),
              gradient(policy.parameters()) {}

        HostMemory memory;
        Arena arena;
        Task task;
        std::vector<float> gradient;
    };

    Piece& at(int piece) { return *pieces_[static_cast<std::size_t>(piece)]; }
    int observations() const { return tasks_.front().observation_size(); }

    /// Advantages to mean 0 and variance 1 over all pieces.
    void normalise(double steps) {
        typename Task::Sums all;
        for (const auto& piece : pieces_) {
            const auto sums = piece->task.advantage_sums();
            all.sum += sums.sum;
            all.square += sums.square;
        }
        const double mean = all.sum / steps, variance = std::max(0.0, all.square / steps - mean * mean);
        const double scale = 1.0 / (std::sqrt(variance) + 1e-8);
        for (const auto& piece : pieces_)
            piece->task.normalise(static_cast<float>(mean), static_cast<float>(std::min(scale, 1e3)));
    }

    RecurrentPolicy<float> policy_;
    RecurrentSettings settings_;
    std::uint64_t seed_;
    float output_gain_;
    std::vector<E> tasks_;
    Workers workers_;
    std::vector<std::unique_ptr<Piece>> pieces_;
    std::vector<float> w_, mean_, square_;
    Adam::State<float> moments_;
    StopAsked stop_ = never_asked;
    std::int64_t iteration_ = 0, environment_steps_ = 0, gradients_ = 0;
    std::atomic<std::int64_t> adaptation_steps_ = 0;
};

}  // namespace dunlin
