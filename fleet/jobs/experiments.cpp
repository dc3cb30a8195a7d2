// SPDX-License-Identifier: Apache-2.0
#include "fleet/jobs/experiments.hpp"

#include "training/host/plain_text.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace dunlin {
namespace {

/// A model as it began, and what of it is the job's.
struct FirstModel {
    TrainedModel model;
    LayerSplit split;
};

void note_layers(FirstModel& first) {
    if (first.split.has_personal())
        first.model.notes.push_back(
            "The layers that stay with their nodes are in no message: here they are as they began, and what each "
            "node "
            "made of them is on its own disk");
}

Outcome<FirstModel> first_model(const ProblemExperiment& experiment) {
    const auto data = make_problem(experiment);
    if (!data) return tl::unexpected(data.error());
    FirstModel first{experiment.description(**data), (*data)->split()};
    TrainedModel& model = first.model;
    model.parameters.resize((*data)->dimension());
    (*data)->initialise(model.parameters);
    note_layers(first);
    return first;
}

}  // namespace

std::string experiment_kind(std::string_view toml) {
    const std::string name = top_level_value(toml, "kind");
    return name.empty() ? "navigation" : name;
}

Outcome<ProblemExperiment> read_deployed(std::string_view toml, std::string_view where) {
    const std::string kind = experiment_kind(toml);
    const RegisteredProblem* const found = find_problem(kind);
    if (found != nullptr && found->deploys()) {
        ProblemExperiment experiment(*found);
        if (auto read = experiment.list().read(toml, where); !read) return tl::unexpected(read.error());
        return experiment;
    }
    std::string known;
    for (const RegisteredProblem& one : registered_problems()) {
        if (one.deploys()) known += (known.empty() ? "" : ", ") + one.name;
    }
    if (is_built_in(kind))
        return refuse(fmt::format("{}: kind = \"{}\": real nodes run {}; `dunlin train` runs the others here",
                                  where, kind, known));
    return refuse(fmt::format("{}: kind = \"{}\" is not registered in this program, which runs {} on real nodes",
                              where, shown(kind, false), known));
}

std::string write_deployed(ProblemExperiment& experiment) {
    return experiment.list().write(Settings::Paths::as_given, experiment.kind().newer);
}

Outcome<void> check_names_no_file(ProblemExperiment& settings) {
    const Settings& list = settings.list();
    for (const auto& [key, absolute] : list.values()) {
        // A path that is not absolute is another text where it is made so.
        if (absolute == list.value(key) && absolute.find('/') == std::string::npos) continue;
        return refuse(
            fmt::format("{}: files are not read for who asks by the web; on the fleet's machine, as the store's "
                        "owner: dunlin fleet run",
                        key));
    }
    return {};
}

Outcome<std::unique_ptr<FederatedProblem>> make_problem(const ProblemExperiment& experiment,
                                                        const std::string& own_data) {
    return experiment.nodes_bring_data() ? experiment.make_own(own_data) : experiment.make(1);
}

Outcome<TrainedModel> deployed_model(ProblemExperiment& settings, ConstVector<float> numbers) {
    Outcome<FirstModel> first = first_model(settings);
    if (!first) return tl::unexpected(first.error());
    TrainedModel& model = first->model;
    const std::size_t shared = first->split.shared_size();
    if (numbers.size() != shared)
        return refuse(Error{Code::shape_mismatch, std::ssize(numbers), static_cast<std::int64_t>(shared)},
                      "the job's model");
    first->split.put_shared<float>(numbers, model.parameters);
    if (model.config.empty()) model.config = write_deployed(settings);
    return std::move(model);
}

}  // namespace dunlin
