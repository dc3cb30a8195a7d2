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

Outcome<TrainedModel> model_of(const FleetNavigationSettings& settings) {
    const auto nodes = make_navigation(settings);
    if (!nodes) return tl::unexpected(nodes.error());
    return navigation_model(settings, (*nodes)->policy().network.shape, {});
}
Outcome<TrainedModel> model_of(const ProblemExperiment& experiment) {
    const auto data = make_problem(experiment);
    if (!data) return tl::unexpected(data.error());
    TrainedModel model = (*data)->description();
    model.experiment = experiment.settings().experiment;
    model.personal_is = personal_sentence(experiment.settings().federated.personal);
    return model;
}

Outcome<DeployedSettings> read(DeployedSettings settings, std::string_view toml, std::string_view where) {
    Settings list = std::visit([](auto& of_kind) { return settings_of(of_kind); }, settings);
    if (auto done = list.read(toml, where); !done) return tl::unexpected(done.error());
    return settings;
}

Outcome<void> keeps_nothing(Objective name) {
    const ObjectiveTraits& objective = traits_of(name);
    if (objective.kept == Kept::nothing) return {};
    return refuse(
        fmt::format("objective.name = {}: it has personal {}, and real nodes keep none yet; `dunlin train` runs "
                    "it here",
                    objective.name, objective.kept == Kept::layers ? "layers" : "models"));
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

Outcome<std::unique_ptr<NavigationNodes>> make_navigation(const FleetNavigationSettings& settings) {
    if (auto kept = keeps_nothing(settings.method.objective); !kept) return tl::unexpected(kept.error());
    auto made = NavigationNodes::make(settings, 1);
    if (made && (*made)->split().has_personal())
        return refuse("policy.personal_layers: real nodes keep none yet; `dunlin train` runs them here");
    return made;
}

Outcome<std::unique_ptr<FederatedProblem>> make_problem(const ProblemExperiment& experiment,
                                                        const std::string& own_data) {
    if (auto kept = keeps_nothing(experiment.settings().federated.objective()); !kept)
        return tl::unexpected(kept.error());
    auto made = experiment.nodes_bring_data() ? experiment.make_own(own_data) : experiment.make(1);
    if (made && (*made)->split().has_personal())
        return refuse("model.personal_layers: real nodes keep none yet; `dunlin train` runs them here");
    return made;
}

Outcome<TrainedModel> deployed_model(DeployedSettings& settings, std::vector<float> numbers) {
    Outcome<TrainedModel> model = std::visit([](const auto& of_kind) { return model_of(of_kind); }, settings);
    if (!model) return model;
    if (numbers.size() != model->count())
        return refuse(Error{Code::shape_mismatch, std::ssize(numbers), static_cast<std::int64_t>(model->count())},
                      "the job's model");
    model->parameters = std::move(numbers);
    if (model->config.empty()) model->config = write_deployed(settings);
    return model;
}

}  // namespace dunlin
