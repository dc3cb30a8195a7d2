// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/saved_model.hpp"
#include "training/problems/problem_kinds.hpp"

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace dunlin {
struct FleetNavigationSettings;
}

namespace dunlin::app {

/// The text of a ready-made experiment, or of a file. Errors: neither; the file's.
Outcome<std::string> experiment_text(const std::string& name);

/// What real nodes are to run where the model of `path` is pushed to them: what the model says of itself, or else
/// `experiment` with its network; `experiment` is then what was taken. `assignments` are changed over it. Errors: a model
/// that nodes cannot run; settings that do not fit it; without `files`, settings that name one.
Outcome<ProblemExperiment> settings_of_push(const std::string& path, const SavedModel& saved,
                                            std::string& experiment, const std::vector<std::string>& assignments,
                                            bool files = true);

/// The model that a job's reply to "pull" holds, as a file's, with all that is needed to run it. Errors: an experiment
/// that this program cannot read, or parameters that do not fit it.
Outcome<TrainedModel> pulled_model(const nlohmann::ordered_json& reply, const std::vector<float>& numbers);

/// What a policy that is pushed and an untrained one reach here by the nodes' adaptation, on tasks such as they will have
/// (at most 32), in a sentence without a full stop. `harms`: the untrained one does better. Errors: settings, a policy of
/// another size.
struct Rehearsal {
    std::string text;
    bool harms = false;
};
Outcome<Rehearsal> rehearse(const FleetNavigationSettings& fleet, const TrainedModel& policy);

}  // namespace dunlin::app
