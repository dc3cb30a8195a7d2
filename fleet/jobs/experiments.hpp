// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/models/model_file.hpp"
#include "training/problems/problem_kinds.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

/// What an experiment's document says its kind is: the line `kind = "..."` before the first section; "navigation"
/// without one.
std::string experiment_kind(std::string_view toml);

/// Reads a document over the defaults of its kind. Errors: a kind that is not registered here; the settings'. `where` names it in errors.
Outcome<ProblemExperiment> read_deployed(std::string_view toml, std::string_view where);

/// The document that says all settings. Paths stay as they were given: each machine reads its own files.
std::string write_deployed(ProblemExperiment& settings);

/// Does it read no file, whoever runs it? What comes from who may command the fleet and not read its machine must not.
/// Error: names a setting that says a path, or looks like one. Where it stands, and whether it is there, is not told.
Outcome<void> check_names_no_file(ProblemExperiment& settings);

/// What the nodes learn, for one caller at a time. Errors: the problem's. Where nodes bring their data, `own_data` is a
/// node's; without one it has no nodes.
Outcome<std::unique_ptr<FederatedProblem>> make_problem(const ProblemExperiment& experiment,
                                                        const std::string& own_data = {});

/// A job's model with what it is for; `numbers` are its parameters, of which layers that stay with their nodes are as
/// they began. Errors: the settings', numbers of another model.
Outcome<TrainedModel> deployed_model(ProblemExperiment& settings, ConstVector<float> numbers);

}  // namespace dunlin
