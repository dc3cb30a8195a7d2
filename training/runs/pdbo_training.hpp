// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/problems/pdbo_settings.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace dunlin {

/// The agents after one stage: the inner steps that follow an outer step, or begin.
struct PdboRow {
    int stage = 0;                   ///< outer steps so far
    std::int64_t inner_steps = 0;    ///< so far
    double gradients = 0;            ///< so far, mean of agents
    double validation_accuracy = 0;  ///< mean of agents
    double test_accuracy = 0;        ///< mean of agents
    double bottom_decile = 0;        ///< the accuracy that a tenth of the agents does not reach
    double train_loss = 0;           ///< F, mean of agents
    double hyper_norm = 0;  ///< of all agents' outer gradients at the outer step before; 0 at the beginning
};

struct PdboOutcome {
    bool complete = false;
    std::string failure;  ///< what stopped it: an agent that diverged; empty else
    std::vector<PdboRow> history;
    std::size_t selected = 0;               ///< the row with the best validation accuracy, the first of equals
    std::vector<double> accuracy_by_agent;  ///< on its test rows, at the selected stage
    std::vector<float> models;              ///< predictors' parameters, agent by agent, at the selected stage
    std::vector<float> weights;             ///< sigma(lambda), agent by agent, at the selected stage
    int inner_steps_per_stage = 0;
    std::size_t parameters = 0;
    BilevelCounters counters;
    std::uint64_t trace = 0;
    double seconds = 0;

    const PdboRow& best() const { return history[selected]; }
};

/// The value that a tenth of `values` lies below: the 10th percentile, interpolated.
double bottom_decile(std::vector<double> values);

struct PdboHooks {
    std::function<bool()> stop = [] { return false; };
    std::function<Outcome<void>(const PdboRow&)> keep = [](const PdboRow&) -> Outcome<void> { return {}; };
    /// Now and then: steps done and to do.
    std::function<void(std::int64_t, std::int64_t)> progress = [](std::int64_t, std::int64_t) {};
    std::function<void(std::uint32_t, std::span<const std::byte>)> tap{};  ///< sees all messages
};

/// A run that is ready to start: T inner steps, then `outer_steps` times an Adam step on every agent's lambda and T
/// inner steps from where they were. Every method has the same stages, schedule of steps and choice of the stage by
/// validation, so that none is favoured.
class PdboTraining {
public:
    /// Errors: of the data, of settings that do not fit each other or this machine's memory.
    static Outcome<std::unique_ptr<PdboTraining>> make(const PdboSettings& settings, int threads);
    virtual ~PdboTraining() = default;

    virtual const PdboData& data() const = 0;
    virtual const MlpShape& shape() const = 0;  ///< of one predictor
    /// Once. Errors: what `keep` returns. An agent that diverges is an outcome with a `failure`.
    virtual Outcome<PdboOutcome> run(const PdboHooks& hooks) = 0;
};

}  // namespace dunlin
