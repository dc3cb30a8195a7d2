// SPDX-License-Identifier: Apache-2.0
#include "fleet/jobs/experiments.hpp"

#include "training/host/plain_text.hpp"
#include "training/navigation/navigation_model.hpp"
#include "training/navigation/navigation_nodes.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace dunlin {
namespace {

Settings settings_of(FleetNavigationSettings& settings) {
    return fleet_navigation_settings(settings);
}
Settings settings_of(ProblemExperiment& experiment) {
    return experiment.list();
}

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

Outcome<FirstModel> first_model(const FleetNavigationSettings& settings) {
    const auto nodes = NavigationNodes::make(settings, 1);
    if (!nodes) return tl::unexpected(nodes.error());
    FirstModel first{navigation_model(settings, (*nodes)->policy().network.shape, (*nodes)->first_parameters()),
                     (*nodes)->split()};
    note_layers(first);
    return first;
}
Outcome<FirstModel> first_model(const ProblemExperiment& experiment) {
    const auto data = make_problem(experiment);
    if (!data) return tl::unexpected(data.error());
    FirstModel first{(*data)->description(), (*data)->split()};
    TrainedModel& model = first.model;
    model.experiment = experiment.settings().experiment;
    model.personal_is =
        personal_sentence(experiment.settings().federated.personalisation(first.split.has_personal()));
    model.parameters.resize((*data)->dimension());
    (*data)->initialise(model.parameters);
    note_layers(first);
    return first;
}

Outcome<DeployedSettings> read(DeployedSettings settings, std::string_view toml, std::string_view where) {
    Settings list = std::visit([](auto& of_kind) { return settings_of(of_kind); }, settings);
    if (auto done = list.read(toml, where); !done) return tl::unexpected(done.error());
    return settings;
}

}  // namespace

std::string experiment_kind(std::string_view toml) {
    const std::string name = top_level_value(toml, "kind");
    return name.empty() ? "navigation" : name;
}

Outcome<DeployedSettings> read_deployed(std::string_view toml, std::string_view where) {
    const std::string kind = experiment_kind(toml);
    if (kind == "fleet-navigation") return read(FleetNavigationSettings(), toml, where);
    if (const RegisteredProblem* found = find_problem(kind)) return read(ProblemExperiment(*found), toml, where);
    std::string known = "fleet-navigation";
    for (const RegisteredProblem& one : registered_problems()) known += ", " + one.name;
    if (is_built_in(kind))
        return refuse(fmt::format("{}: kind = \"{}\": real nodes run {}; `dunlin train` runs the others here",
                                  where, kind, known));
    return refuse(fmt::format("{}: kind = \"{}\" is not registered in this program, which runs {} on real nodes",
                              where, shown(kind, false), known));
}

Outcome<void> change_deployed(DeployedSettings& settings, const std::vector<std::string>& assignments) {
    Settings list = std::visit([](auto& of_kind) { return settings_of(of_kind); }, settings);
    return list.set(assignments);
}

std::string write_deployed(DeployedSettings& settings) {
    constexpr Settings::Paths paths = Settings::Paths::as_given;
    if (auto* navigation = std::get_if<FleetNavigationSettings>(&settings))
        return settings_of(*navigation).write(paths, newer_fleet_navigation_settings());
    return std::visit([](auto& of_kind) { return settings_of(of_kind).write(paths, newer_federated_settings()); },
                      settings);
}

Outcome<std::unique_ptr<FederatedProblem>> make_problem(const ProblemExperiment& experiment,
                                                        const std::string& own_data) {
    return experiment.nodes_bring_data() ? experiment.make_own(own_data) : experiment.make(1);
}

Outcome<TrainedModel> deployed_model(DeployedSettings& settings, ConstVector<float> numbers) {
    Outcome<FirstModel> first = std::visit([](const auto& of_kind) { return first_model(of_kind); }, settings);
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
