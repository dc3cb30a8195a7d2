// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/pushed_model.hpp"

#include "apps/dunlin/experiments.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "apps/output.hpp"
#include "fleet/jobs/experiments.hpp"
#include "training/host/plain_text.hpp"
#include "training/host/text_values.hpp"
#include "training/navigation/meta_judgement.hpp"
#include "training/problems/navigation_fleet.hpp"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace dunlin::app {

Outcome<std::string> experiment_text(const std::string& name) {
    if (const Experiment* known = find_experiment(name)) return std::string(known->toml);
    std::error_code ignored;
    if (std::filesystem::exists(name, ignored)) return read_text(name);
    return refuse(shown(name, false) + ": no ready-made experiment (`dunlin list` shows them), and no file");
}

namespace {

/// A fleet's navigation with this policy's network instead of its own.
void take_network(FleetNavigationSettings& settings, const TrainedModel& policy) {
    const MlpShape& shape = policy.shape;
    settings.hidden.assign(shape.widths.begin(), shape.widths.begin() + shape.layers - 1);
    if (shape.layers > 1) settings.activation = shape.hidden;
    settings.input = shape.one_hot ? PolicyInput::one_hot : PolicyInput::coordinates;
}

/// What the nodes are to run: what the policy says of itself, or else `experiment` with its network.
Outcome<ProblemExperiment> pushed_settings(const std::string& path, std::string& experiment,
                                           const SavedModel& saved) {
    const TrainedModel& policy = saved.model;
    if (experiment.empty() && saved.kind != nullptr && saved.kind->name == "navigation") {
        const auto own = navigation_settings_of(saved);
        if (!own) return tl::unexpected(own.error());
        FleetNavigationSettings served;
        served.federated.method = preset::persafl_me;
        auto fleet = on_a_fleet(*own, served);
        if (!fleet) return tl::unexpected(fleet.error());
        experiment = path;
        ProblemExperiment served_by(*find_problem(fleet->kind));
        *served_by.as<FleetNavigationSettings>() = *std::move(fleet);
        return served_by;
    }
    if (experiment.empty() && saved.kind != nullptr) {
        experiment = path;
        return read_deployed(saved.config, path);
    }
    const bool assumed = experiment.empty();
    if (assumed) experiment = "fleet-navigation-server";
    const auto text = experiment_text(experiment);
    if (!text) return tl::unexpected(text.error());
    auto settings = read_deployed(*text, experiment);
    if (!settings) return settings;
    if (auto* navigation = settings->as<FleetNavigationSettings>()) {
        if (policy.network)
            return refuse(path + ": no perceptron, and nodes that navigate have one as their policy");
        take_network(*navigation, policy);
    }
    if (assumed) {
        note(
            "dunlin: {}: written by an older Dunlin, it says nothing of its map, horizon and inner loop; taken "
            "from {}; name another with --experiment\n",
            path, experiment);
    }
    return settings;
}

/// The settings that make the network are the model's own: another one of as many parameters would be judged by them.
Outcome<void> check_model(ProblemExperiment& pushed, const SavedModel& saved) {
    if (saved.kind == nullptr || saved.kind->name != pushed.kind().name) return {};
    ProblemExperiment own(pushed.kind());
    Settings was = own.list(), is = pushed.list();
    if (auto read = was.read(saved.config, saved.file.string()); !read) return read;
    for (const char* key :
         {"model.hidden", "model.activation", "model.layers", "model.input", "model.personal_layers"}) {
        if (was.value(key) != is.value(key))
            return refuse(fmt::format("{} = {}, but the model was trained with {}; leave it as it is", key,
                                      is.value(key), was.value(key)));
    }
    return {};
}

/// A push hands a whole model out, and what stays with nodes is in none.
Outcome<void> check_shared(ProblemExperiment& pushed) {
    const std::string layers = pushed.list().value("model.personal_layers");
    const bool kept = traits_of(pushed.settings().federated.objective()).kept != Kept::nothing;
    if (!kept && (layers.empty() || layers == "[]")) return {};
    return refuse(
        "a part of this model stays with its nodes, and a push hands whole models out; have them learn it");
}

/// What nodes that bring their data are to have, where the settings leave it to the model.
Outcome<void> take_data_terms(ProblemExperiment& pushed, const TrainedModel& model) {
    if (!pushed.nodes_bring_data()) return {};
    Settings list = pushed.list();
    const auto take = [&](const std::string& key, const auto& values, const auto& text) -> Outcome<void> {
        if (list.value(key) != "[]" || values.empty()) return {};
        std::vector<std::string> parts;
        for (const auto& value : values) parts.push_back(text(value));
        return list.set(fmt::format("{}=[{}]", key, fmt::join(parts, ",")));
    };
    const auto number = [](float value) { return fmt::format("{}", value); };
    return take("data.features", model.input_names, toml_string)
        .and_then([&] { return take("data.classes", model.output_names, toml_string); })
        .and_then([&] { return take("data.centre", model.centre, number); })
        .and_then([&] { return take("data.scale", model.scale, number); });
}

}  // namespace

Outcome<Rehearsal> rehearse(const FleetNavigationSettings& fleet, const TrainedModel& policy) {
    constexpr int most_tasks = 32;
    NavigationSettings s = in_one_process(fleet);
    s.training_tasks = std::min(s.training_tasks, most_tasks);
    const auto training = NavigationTraining::make(s, 1);
    if (!training) return tl::unexpected(training.error());
    if (const Result<void> loaded = (*training)->load(policy.parameters, {}); !loaded)
        return refuse(loaded.error(), "push");
    const auto after = [&](StartPolicy start) {
        return means(last_of_each((*training)->evaluate(TaskSet::training, s.adaptation_steps,
                                                        NavigationTraining::fresh_epoch, true, start)));
    };
    const TaskMeans pushed = after(StartPolicy::meta), untrained = after(StartPolicy::untrained);
    const std::vector<TaskOutcome> one = (*training)->best_single_policy(TaskSet::training);
    return Rehearsal{
        fmt::format(
            "on {} tasks such as the nodes will have, after {} inner steps: share of the optimum {:.3f}, success "
            "{:.3f}; an untrained policy {:.3f} and {:.3f}{}",
            s.training_tasks, s.adaptation_steps, pushed.ratio, pushed.success, untrained.ratio, untrained.success,
            one.empty() ? "" : fmt::format("; one policy for all without adaptation {:.3f}", means(one).ratio)),
        pushed.ratio < untrained.ratio - 0.01};
}

Outcome<ProblemExperiment> settings_of_push(const std::string& path, const SavedModel& saved,
                                            std::string& experiment, const std::vector<std::string>& assignments,
                                            bool files) {
    const TrainedModel& policy = saved.model;
    if (policy.frozen > 0)
        return refuse(fmt::format(
            "{}: {} of its layers are frozen, and nodes of a fleet move all; import it without --freeze, "
            "or adapt it here with: dunlin adapt {}",
            path, policy.frozen, path));
    if (policy.gaussian())
        return refuse(fmt::format("{}: a policy of the point world, and real nodes navigate on a grid", path));
    auto settings = pushed_settings(path, experiment, saved);
    if (!settings) return settings;
    if (auto done = settings->list().set(assignments); !done) return tl::unexpected(done.error());
    if (!files) {  // before anything reads them
        if (auto none = check_names_no_file(*settings); !none) return tl::unexpected(none.error());
    }
    if (settings->as<FleetNavigationSettings>() == nullptr) {
        if (auto own = check_model(*settings, saved); !own) return tl::unexpected(own.error());
        if (auto shared = check_shared(*settings); !shared) return tl::unexpected(shared.error());
        if (auto taken = take_data_terms(*settings, policy); !taken) return tl::unexpected(taken.error());
    }
    // The settings again from their text: what a node reads must be in range there too.
    settings = read_deployed(write_deployed(*settings), experiment);
    if (!settings) return settings;
    if (const auto* navigation = settings->as<FleetNavigationSettings>()) {
        if (auto fits = check_network(*navigation, policy); !fits)
            return refuse(fmt::format("{}: {}", path, fits.error().text));
    }
    return settings;
}

Outcome<TrainedModel> pulled_model(const nlohmann::ordered_json& reply, const std::vector<float>& numbers) {
    auto settings = read_deployed(reply["experiment"].get<std::string>(), "the job's experiment");
    if (!settings) return tl::unexpected(settings.error());
    Outcome<TrainedModel> model = deployed_model(*settings, numbers);
    if (!model) return model;
    model->updates = reply["version"].get<std::int64_t>();
    model->shared_is = fmt::format("model of job {} after {} updates", reply["job"].dump(), model->updates);
    return model;
}

}  // namespace dunlin::app
