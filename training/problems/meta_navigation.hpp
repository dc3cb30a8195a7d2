// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/navigation/meta_judgement.hpp"
#include "training/problems/problem_kinds.hpp"
#include "training/problems/solo_course.hpp"

#include <memory>
#include <string>
#include <vector>

namespace dunlin {

/// Navigation in one process, as a document says it.
struct MetaNavigationSettings final : ProblemSettings {
    NavigationSettings own;  ///< but for what all documents say first

    NavigationSettings navigation() const;
};

/// The kind "navigation", for registered_problems.
ProblemKind<MetaNavigationSettings> meta_navigation_kind();

/// Meta-training as a run.
class MetaCourse final : public SoloCourse {
public:
    MetaCourse(std::unique_ptr<NavigationTraining> training, int threads)
        : training_(std::move(training)), threads_(threads) {}

    Outcome<void> iterate() override { return training_->iterate(); }
    std::int64_t iteration() const override { return training_->iteration(); }
    std::int64_t environment_steps() const override { return training_->environment_steps(); }
    std::int64_t gradients() const override { return training_->gradients(); }
    ConstVector<float> parameters() const override { return training_->parameters(); }
    void save(Saver& saver) const override { saver(training_->save()); }
    Result<void> restore(Loader& loader) override;

    bool finished() const override { return training_->finished(); }
    Outcome<void> check_length() const override;
    int evaluate_every() const override { return training_->evaluation_interval(); }
    void stop_when(StopAsked stop) override { training_->stop_when(stop); }
    bool stopped() const override { return training_->stopped(); }
    std::vector<double> judge() override;
    void judge_the_end(const FederatedResult& result) override;

    std::string config() const override;
    std::string about() const override;
    std::string method() const override;
    std::vector<std::string> columns() const override;
    Progress progress(const FederatedResult& result) const override;
    std::string left_off() const override;
    void report(const FederatedResult& result, RunFigures& figures) override;
    TrainedModel model() const override;

private:
    const NavigationSettings& settings() const { return training_->settings(); }
    std::size_t task_count() const { return training_->task_names(TaskSet::training).size(); }
    bool has_held_out() const { return !training_->task_names(TaskSet::held_out).empty(); }

    std::unique_ptr<NavigationTraining> training_;
    int threads_;
    MetaJudgement end_;
    std::int64_t iteration_ = 0, judged_iteration_ = 0;  ///< at the end; what `end_` is about
    double adaptation_steps_ = 0;  ///< environment steps that take the meta-policy to a training task, on average
};

/// What a row says of so many training tasks: four numbers each, and then, where there are some, the means over those
/// held out.
std::vector<TaskOutcome> tasks_of(const FederatedRow& row, std::size_t tasks);
TaskMeans held_out_of(const FederatedRow& row, std::size_t tasks);
/// Of training, without evaluation.
double steps_per_second(const FederatedResult& result);

}  // namespace dunlin
