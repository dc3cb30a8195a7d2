// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/kinds.hpp"

#include "apps/dunlin/experiments.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "fleet/jobs/experiments.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin::app {
namespace {

constexpr std::string_view federated_methods =
    "persafl-me,persafl-maml,persafl,pfedme,per-fedavg,fedavg,fedprox,fedasync,fedbuff,pars-push,pars-push-maml,"
    "pars-push-me,local,global";
constexpr std::string_view gossip_methods = "pars-push,sgp";  // dpsgd wants undirected graphs

constexpr Kind all[] = {
    {"navigation", train_navigation_kind, navigation_help, "rl.method", resolve_navigation, try_navigation,
     "memrl,maml,fomaml,reptile,scratch"},
    {"classification", train_classification_kind, classification_help, "federated.method", resolve_classification,
     try_classification, federated_methods},
    {"ranking", train_ranking_kind, ranking_help, "federated.method", resolve_ranking, try_ranking,
     federated_methods},
    {"regression", train_regression_kind, regression_help, "method.name", resolve_regression, try_regression,
     gossip_methods},
    {"decentralised", train_decentralised_kind, decentralised_help, "method.name", resolve_decentralised,
     try_decentralised, "spdb,d2,gnsd,dsgd"},
    {"pdbo", train_pdbo_kind, pdbo_help, "method.name", resolve_pdbo, try_pdbo,
     "pdbo-mtl,pdbo-mtl-local,sgp,local"},
    {"fleet-navigation", train_fleet_navigation_kind, fleet_navigation_help, "method.name",
     resolve_fleet_navigation, try_fleet_navigation, "pars-push,sgp,persafl-me"},
};

}  // namespace

std::span<const Kind> kinds() {
    return all;
}

Outcome<const Kind*> kind_of(std::string_view toml, std::string_view where) {
    const std::string name = experiment_kind(toml);
    std::vector<std::string_view> names;
    for (const Kind& kind : all) {
        if (kind.name == name) return &kind;
        names.push_back(kind.name);
    }
    return problem(fmt::format("{}: kind = \"{}\": expected one of {}", where, name, fmt::join(names, ", ")));
}

std::string TrainRequest::command() const {
    if (resume) return fmt::format("dunlin train --resume {}", directory.string());
    std::string text = "dunlin train " + experiment;
    if (!config.empty()) text += " --config " + config;
    if (!method.empty()) text += " --method " + method;
    if (seed) text += fmt::format(" --seed {}", *seed);
    for (const std::string& assignment : assignments) text += " --set '" + assignment + "'";
    return text;
}

Outcome<void> TrainRequest::apply(Settings& settings, std::string_view method_key) const {
    const Experiment* ready_made = find_experiment(experiment);
    if (ready_made == nullptr) {
        std::vector<std::string_view> names;
        for (const Experiment& known : experiments()) names.push_back(known.name);
        return problem(fmt::format("no experiment \"{}\"; choose one of {}", experiment, fmt::join(names, ", ")));
    }
    if (Outcome<void> read = settings.read(ready_made->toml, "experiment " + experiment); !read) return read;
    if (!config.empty()) {
        const Outcome<std::string> text = read_text(config);
        if (!text) return tl::unexpected(text.error());
        if (Outcome<void> read = settings.read(*text, config); !read) return read;
    }
    if (!method.empty()) {
        if (Outcome<void> set = settings.set(fmt::format("{}={}", method_key, method)); !set) return set;
    }
    for (const std::string& assignment : assignments) {
        if (Outcome<void> set = settings.set(assignment); !set) return set;
    }
    if (seed) return settings.set(fmt::format("seed={}", *seed));
    return {};
}

}  // namespace dunlin::app
