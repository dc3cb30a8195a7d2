// SPDX-License-Identifier: Apache-2.0
#include "training/navigation/recurrent_training.hpp"

namespace dunlin {
namespace {

using Piece = RecurrentTrainer<RuleWorld>;

}  // namespace

Outcome<void> check_recurrent(const NavigationSettings& s) {
    if (s.recurrent.trials % Piece::piece_trials != 0)
        return refuse(
            fmt::format("rl2.trials = {}: a multiple of {} is needed", s.recurrent.trials, Piece::piece_trials));
    return {};
}

Outcome<RecurrentPolicy<float>> recurrent_policy(const NavigationSettings& s, int observations, int actions,
                                                 const Kernels<float>* kernels) {
    const auto policy = RecurrentPolicy<float>::make(trial_inputs(observations, actions), s.recurrent.encoder,
                                                     s.recurrent.cell, s.recurrent.units, actions, kernels);
    if (!policy) return refuse(policy.error(), "rl2.encoder, rl2.units");
    return *policy;
}

RecurrentSettings recurrent_settings(const NavigationSettings& s) {
    RecurrentSettings how = s.recurrent;
    how.trial.steps = (s.meta.inner.step_limit + 1) * s.horizon;
    how.trial.discount = s.discount;
    how.trial.across = s.meta.method == MetaMethod::rl2;
    return how;
}

}  // namespace dunlin
