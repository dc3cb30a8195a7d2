// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/stop.hpp"
#include "training/models/model_file.hpp"
#include "training/problems/run_figures.hpp"
#include "training/problems/side_course.hpp"

#include <string>
#include <vector>

namespace dunlin {

/// A model that is learned in one process, without nodes, by a run of its own. Rows of its result have iterations for
/// rounds, seconds of training for `time_s`, and what `judge` says for `by_node`.
class SoloCourse : public SideCourse {
public:
    virtual std::int64_t gradients() const = 0;
    /// Whether training is as long as settings say.
    virtual bool finished() const = 0;
    /// Of one that goes on. Errors: settings by which it would be shorter than it is.
    virtual Outcome<void> check_length() const = 0;
    /// Iterations from one row to the next.
    virtual int evaluate_every() const = 0;

    /// From now on asked by what takes long, which is then left off.
    virtual void stop_when(StopAsked stop) = 0;
    virtual bool stopped() const = 0;
    /// What a row says of the model; of no use when `stopped` afterwards.
    virtual std::vector<double> judge() = 0;
    /// Judges the model that it ends with.
    virtual void judge_the_end(const FederatedResult& result) = 0;

    /// The settings with what follows from them, as TOML.
    virtual std::string config() const = 0;
    /// For summaries.
    virtual std::string method() const = 0;
    /// What runs, in a line or some.
    virtual std::string about() const = 0;
    /// Of metrics.csv: iteration, environment steps, gradients, seconds, and a row's own.
    virtual std::vector<std::string> columns() const = 0;
    struct Progress {
        double done, all;
        std::string line;
    };
    virtual Progress progress(const FederatedResult& result) const = 0;
    /// Where the end could not be judged, what its numbers are instead; empty else.
    virtual std::string left_off() const = 0;
    virtual void report(const FederatedResult& result, RunFigures& figures) = 0;
    virtual TrainedModel model() const = 0;
};

}  // namespace dunlin
