// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/saved_model.hpp"

#include "apps/dunlin/run_directory.hpp"
#include "training/host/plain_text.hpp"
#include "training/problems/navigation_fleet.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace dunlin::app {

Outcome<SavedModel> open_model(const std::filesystem::path& run) {
    std::error_code ignored;
    SavedModel saved{.file = run, .folder = run, .model = {}};
    if (!std::filesystem::exists(run, ignored))
        return refuse(shown(run.string(), false) +
                      ": there is no such run directory, and no such policy file or model file");
    const bool directory = std::filesystem::is_directory(run, ignored);
    if (directory) {
        const Outcome<std::string> text = read_text(run / "config.toml");
        if (!text) {
            return refuse(fmt::format(
                "{}: not a run directory (no config.toml); expected what `dunlin train` wrote", run.string()));
        }
        saved.config = saved.run_config = *text;
        for (const char* name : {"policy.dunlin", "model.dunlin"}) {
            saved.file = run / name;
            if (std::filesystem::exists(saved.file, ignored)) break;
        }
        if (!std::filesystem::exists(saved.file, ignored)) {
            return refuse(
                fmt::format("{}: holds no model (policy.dunlin, model.dunlin): the run has not ended, or an older "
                            "Dunlin made it; "
                            "run it to its end with: dunlin train --resume {}",
                            run.string(), run.string()));
        }
    } else {
        saved.folder = run.has_parent_path() ? run.parent_path() : ".";
    }
    auto model = TrainedModel::read(saved.file);
    if (!model) return refuse(model.error(), saved.file.string());
    saved.model = *std::move(model);
    // What travels with the model needs no other file.
    if (!saved.model.config.empty()) saved.config = saved.model.config;
    if (!saved.config.empty()) {
        const Outcome<const Kind*> kind = kind_of(saved.config, saved.file.string());
        if (!kind) return tl::unexpected(kind.error());
        saved.kind = *kind;
    }
    return saved;
}

Outcome<std::size_t> node_of(const TrainedModel& model, const std::string& name) {
    const auto named = std::ranges::find(model.nodes, name);
    if (named != model.nodes.end()) return static_cast<std::size_t>(named - model.nodes.begin());
    std::size_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error == std::errc() && end == name.data() + name.size() && number < model.nodes.size()) return number;
    if (model.nodes.empty()) return refuse(fmt::format("--node {}: this model is of no nodes", name));
    return refuse(fmt::format("--node {}: no such node; there are 0 to {}, called {}, ...", name,
                              model.nodes.size() - 1, model.nodes.front()));
}

namespace {

Outcome<NavigationSettings> navigation_settings_from(const SavedModel& saved, const std::string& config) {
    const std::string where = saved.file.string();
    if (saved.kind == nullptr)
        return refuse(where + ": says nothing of its experiment; name the run directory that it lies in");
    if (saved.kind->name == "navigation") {
        NavigationSettings settings;
        if (auto read = navigation_settings(settings).read(config, where); !read)
            return tl::unexpected(read.error());
        return settings;
    }
    if (saved.kind->name == "fleet-navigation") {
        FleetNavigationSettings settings;
        if (auto read = fleet_navigation_settings(settings).read(config, where); !read)
            return tl::unexpected(read.error());
        return in_one_process(settings);
    }
    return refuse(
        fmt::format("{}: a run of kind {}; expected a navigation run", saved.folder.string(), saved.kind->name));
}

}  // namespace

Outcome<NavigationSettings> navigation_settings_of(const SavedModel& saved) {
    auto settings = navigation_settings_from(saved, saved.config);
    if (!settings || saved.run_config.empty()) return settings;
    // A policy that was put into another run's directory.
    const auto of_run = navigation_settings_from(saved, saved.run_config);
    if (!of_run) return of_run;
    if (of_run->world != settings->world || of_run->hidden != settings->hidden ||
        of_run->activation != settings->activation || of_run->input != settings->input) {
        return refuse(fmt::format("{}: a policy of another shape than {} says", saved.file.string(),
                                  (saved.folder / "config.toml").string()));
    }
    return settings;
}

Outcome<std::unique_ptr<NavigationTraining>> open_navigation(const SavedModel& saved, int threads,
                                                             const std::string& kernels) {
    Outcome<NavigationSettings> settings = navigation_settings_of(saved);
    if (!settings) return tl::unexpected(settings.error());
    if (!kernels.empty()) settings->kernels = kernels;
    auto training = NavigationTraining::make(*settings, threads);
    if (!training) return training;
    const NetworkShape* const network = (*training)->network();
    const bool same_network = network == nullptr
                                  ? !saved.model.network.has_value()
                                  : saved.model.network.has_value() && *saved.model.network == *network;
    if (!same_network || saved.model.shape != (*training)->shape() ||
        saved.model.gaussian() != (*training)->continuous())
        return refuse(fmt::format("{}: a policy of another shape than its settings say", saved.file.string()));
    if (Result<void> loaded = (*training)->load(saved.model.parameters, saved.model.weights);
        !loaded && loaded.error().code == Code::shape_mismatch)
        return refuse(
            fmt::format("{}: its value network or step sizes are missing, or of another size than its settings "
                        "say ({} numbers, expected {})",
                        saved.file.string(), loaded.error().first, loaded.error().second));
    else if (!loaded)
        return refuse(loaded.error(), saved.file.string());
    return training;
}

}  // namespace dunlin::app
