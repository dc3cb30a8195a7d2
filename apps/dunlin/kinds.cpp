// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/kinds.hpp"

#include "apps/dunlin/experiments.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "fleet/jobs/experiments.hpp"
#include "training/host/plain_text.hpp"
#include "training/host/shell_text.hpp"
#include "training/navigation/navigation.hpp"
#include "training/problems/pdbo_settings.hpp"
#include "training/runs/decentralised.hpp"

#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin::app {
namespace {

template <class Values, Settings (*list_of)(Values&)>
std::string help(std::string_view toml) {
    Values values;
    Settings list = list_of(values);
    const Outcome<void> read = list.read(toml, "the experiment");
    return read ? list.help() : read.error().text + "\n";
}

const Kind built_in[] = {
    {"navigation", train_navigation_kind, help<NavigationSettings, navigation_settings>, "rl.method",
     resolve_navigation, try_navigation, "memrl,maml,fomaml,reptile,scratch"},
    {"decentralised", train_decentralised_kind, help<DecentralisedSettings, decentralised_settings>, "method.name",
     resolve_decentralised, try_decentralised, "spdb,d2,gnsd,dsgd"},
    {"pdbo", train_pdbo_kind, help<PdboSettings, pdbo_settings>, "method.name", resolve_pdbo, try_pdbo,
     "pdbo-mtl,pdbo-mtl-local,sgp,local"},
};

}  // namespace

const std::deque<Kind>& kinds() {
    static std::deque<Kind> all(std::begin(built_in), std::end(built_in));
    const auto& problems = registered_problems();
    for (std::size_t known = all.size() - std::size(built_in); known < problems.size(); ++known)
        all.push_back(problem_kind(problems[known]));
    return all;
}

Outcome<const Kind*> kind_of(std::string_view toml, std::string_view where) {
    const std::string name = experiment_kind(toml);
    std::vector<std::string_view> names;
    for (const Kind& kind : kinds()) {
        if (kind.name == name) return &kind;
        names.push_back(kind.name);
    }
    return refuse(fmt::format("{}: kind = \"{}\": expected one of {}", where, name, fmt::join(names, ", ")));
}

Outcome<const Kind*> kind_of(const TrainRequest& request) {
    if (request.experiment.empty()) {
        const Outcome<std::string> text = request.document();
        if (!text) return tl::unexpected(text.error());
        return kind_of(*text, request.config);
    }
    // An unknown name is navigation's to refuse.
    const Experiment* experiment = find_experiment(request.experiment);
    return kind_of(experiment == nullptr ? "" : experiment->toml, request.experiment);
}

Outcome<std::string> TrainRequest::document() const {
    return config_text ? Outcome<std::string>(*config_text) : read_text(config);
}

std::string TrainRequest::arguments() const {
    std::string text;
    if (!experiment.empty()) text = fmt::format(" {}", shell_word(experiment));
    if (!config.empty()) text += " --config " + shell_path(config);
    for (const std::string& assignment : assignments) text += " --set " + shell_word(assignment);
    return text;
}

std::string TrainRequest::command() const {
    if (resume) return "dunlin train --config " + shell_path(directory / "config.toml");
    std::string text = "dunlin train" + arguments();
    if (!method.empty()) text += " --method " + shell_word(method);
    if (seed) text += fmt::format(" --seed {}", *seed);
    return text;
}

Outcome<void> TrainRequest::apply(Settings& settings, std::string_view method_key) const {
    const Experiment* ready_made = find_experiment(experiment);
    if (ready_made == nullptr && !experiment.empty()) {
        std::vector<std::string_view> names;
        for (const Experiment& known : experiments()) names.push_back(known.name);
        return refuse(fmt::format("no experiment \"{}\"; choose one of {}", shown(experiment, false),
                                  fmt::join(names, ", ")));
    }
    if (ready_made != nullptr) {
        if (Outcome<void> read = settings.read(ready_made->toml, "experiment " + experiment); !read) return read;
    }
    if (!config.empty()) {
        const Outcome<std::string> text = document();
        if (!text) return tl::unexpected(text.error());
        if (Outcome<void> read = settings.read(*text, config); !read) return read;
    }
    if (!method.empty()) {
        if (Outcome<void> set = settings.set(fmt::format("{}={}", method_key, method)); !set) return set;
    }
    for (const std::string& assignment : assignments) {
        const std::string_view key = std::string_view(assignment).substr(0, assignment.find('='));
        for (const auto& [given, option, own] :
             {std::tuple{!method.empty(), "--method", method_key},
              std::tuple{seed.has_value(), "--seed", std::string_view("seed")}}) {
            if (given && key == own)
                return refuse(fmt::format("--set {}: {} says it too; give one of them", assignment, option));
        }
    }
    if (Outcome<void> set = settings.set(assignments); !set) return set;
    if (seed) return settings.set(fmt::format("seed={}", *seed));
    return {};
}

}  // namespace dunlin::app
