// SPDX-License-Identifier: Apache-2.0
#include "fleet/jobs/experiments.hpp"

#include "fleet/navigation_model.hpp"
#include "fleet/navigation_nodes.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace dunlin {
namespace {

Settings settings_of(FleetNavigationSettings& settings) {
    return fleet_navigation_settings(settings);
}
Settings settings_of(ClassificationSettings& settings) {
    return classification_settings(settings);
}
Settings settings_of(RankingSettings& settings) {
    return ranking_settings(settings);
}

Outcome<TrainedModel> model_of(const FleetNavigationSettings& settings) {
    const auto nodes = NavigationNodes::make(settings, 1);
    if (!nodes) return tl::unexpected(nodes.error());
    return navigation_model(settings, (*nodes)->policy().network.shape, {});
}
template <class Kind>
Outcome<TrainedModel> model_of(const Kind& settings) {
    const auto data = make_problem(settings);
    if (!data) return tl::unexpected(data.error());
    TrainedModel model = (*data)->description();
    model.experiment = settings.experiment;
    model.personal_is = personal_sentence(settings.federated.personal);
    return model;
}

template <class Kind>
Outcome<DeployedSettings> read(std::string_view toml, std::string_view where) {
    Kind settings;
    if (auto done = settings_of(settings).read(toml, where); !done) return tl::unexpected(done.error());
    return settings;
}

/// A real node has no place yet where personal layers would survive a restart.
template <class Kind>
Outcome<void> all_shared(const Kind& settings) {
    if (!settings.personal_layers.empty())
        return problem("model.personal_layers: real nodes keep none yet; `dunlin train` runs them here");
    if (settings.federated.objective() == Objective::bilevel)
        return problem(
            "objective.name = bilevel: it has personal layers, and real nodes keep none yet; `dunlin train` runs "
            "it "
            "here");
    return {};
}

}  // namespace

std::string experiment_kind(std::string_view toml) {
    const std::string name = top_level_value(toml, "kind");
    return name.empty() ? "navigation" : name;
}

Outcome<DeployedSettings> read_deployed(std::string_view toml, std::string_view where) {
    const std::string kind = experiment_kind(toml);
    if (kind == "fleet-navigation") return read<FleetNavigationSettings>(toml, where);
    if (kind == "classification") return read<ClassificationSettings>(toml, where);
    if (kind == "ranking") return read<RankingSettings>(toml, where);
    return problem(
        fmt::format("{}: kind = \"{}\": real nodes run fleet-navigation, classification and ranking; "
                    "`dunlin train` runs the others here",
                    where, kind));
}

Outcome<void> change_deployed(DeployedSettings& settings, const std::vector<std::string>& assignments) {
    Settings list = std::visit([](auto& of_kind) { return settings_of(of_kind); }, settings);
    for (const std::string& assignment : assignments) {
        if (auto set = list.set(assignment); !set) return set;
    }
    return {};
}

std::string write_deployed(DeployedSettings& settings) {
    constexpr Settings::Paths paths = Settings::Paths::as_given;
    if (auto* navigation = std::get_if<FleetNavigationSettings>(&settings))
        return settings_of(*navigation).write(paths, newer_fleet_navigation_settings());
    return std::visit([](auto& of_kind) { return settings_of(of_kind).write(paths, newer_federated_settings()); },
                      settings);
}

Outcome<std::unique_ptr<FederatedProblem>> make_problem(const ClassificationSettings& settings) {
    if (auto whole = all_shared(settings); !whole) return tl::unexpected(whole.error());
    return make_classification_problem(settings, 1);
}
Outcome<std::unique_ptr<FederatedProblem>> make_problem(const RankingSettings& settings) {
    if (auto whole = all_shared(settings); !whole) return tl::unexpected(whole.error());
    return make_ranking_problem(settings, 1);
}

Outcome<TrainedModel> deployed_model(DeployedSettings& settings, std::vector<float> numbers) {
    Outcome<TrainedModel> model = std::visit([](const auto& of_kind) { return model_of(of_kind); }, settings);
    if (!model) return model;
    if (numbers.size() != model->count())
        return problem(Error{Code::shape_mismatch, std::ssize(numbers), static_cast<std::int64_t>(model->count())},
                       "the job's model");
    model->parameters = std::move(numbers);
    if (model->config.empty()) model->config = write_deployed(settings);
    return model;
}

}  // namespace dunlin
