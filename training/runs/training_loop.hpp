// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/runs/federated_training.hpp"

#include <chrono>
#include <functional>

namespace dunlin {

/// The loop of all runs: what is trained lives on from one moment at which it is judged to the next.
class TrainingLoop : public FederatedRun {
public:
    Outcome<void> run(const RunPauses& pauses, const FederatedKeep& keep, FederatedResult& result) final;

protected:
    /// A run on its way: who asks, who is told, and what there is.
    struct Way {
        const RunPauses& pauses;
        const FederatedKeep& keep;
        FederatedResult& result;
        RunPauses::Save save;
    };

    /// Before anything else.
    virtual void begin(FederatedResult& result) = 0;
    /// Takes up an earlier part of the run.
    virtual Outcome<void> go_on(const Way& way) = 0;
    /// Whether no moment is left at which it is judged.
    virtual bool over(const FederatedResult& result) const = 0;
    /// Lives until the next one. `stop` is asked where `save` would be right.
    virtual Outcome<void> live(const Way& way, const std::function<bool()>& stop) = 0;
    /// Is that moment reached, so that it is judged in any case, for it does not come again?
    virtual bool there(const FederatedResult& result) const = 0;
    /// Adds a row, and says whether the result is complete. False: it was left off.
    virtual bool judge(FederatedResult& result) = 0;
    /// When a row was kept.
    virtual void judged() {}
    /// Judges what it ends with.
    virtual Outcome<void> end(const Way& way) = 0;
    virtual void keep_models(FederatedResult& result) = 0;
    virtual void save(Saver& saver, const FederatedResult& result) = 0;
    /// That it took so far.
    virtual double seconds() const { return earlier_s_ + since(start_); }

    using Clock = std::chrono::steady_clock;
    static double since(Clock::time_point start) {
        return std::chrono::duration<double>(Clock::now() - start).count();
    }
    double earlier_s_ = 0;  ///< of an earlier part

private:
    Clock::time_point start_ = Clock::now();
};

}  // namespace dunlin
