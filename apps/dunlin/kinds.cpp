// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/kinds.hpp"

#include "apps/dunlin/experiments.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "fleet/jobs/experiments.hpp"
#include "training/host/plain_text.hpp"
#include "training/host/shell_text.hpp"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin::app {
const std::deque<Kind>& kinds() {
    static std::deque<Kind> all = [] {
        add_solo_problems();
        return std::deque<Kind>();
    }();
    const auto& problems = registered_problems();
    for (std::size_t known = all.size(); known < problems.size(); ++known)
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

Outcome<std::vector<std::pair<std::string, std::string>>> TrainRequest::documents() const {
    std::vector<std::pair<std::string, std::string>> all;
    const Experiment* ready_made = find_experiment(experiment);
    if (ready_made == nullptr && !experiment.empty()) {
        std::vector<std::string_view> names;
        for (const Experiment& known : experiments()) names.push_back(known.name);
        return refuse(fmt::format("no experiment \"{}\"; choose one of {}", shown(experiment, false),
                                  fmt::join(names, ", ")));
    }
    if (ready_made != nullptr) all.emplace_back(ready_made->toml, "experiment " + experiment);
    if (!config.empty()) {
        const Outcome<std::string> text = document();
        if (!text) return tl::unexpected(text.error());
        all.emplace_back(*text, config);
    }
    return all;
}

Outcome<std::vector<MethodSetting>> TrainRequest::method_settings() const {
    const auto texts = documents();
    if (!texts) return tl::unexpected(texts.error());
    std::vector<MethodSetting> all;
    for (const auto& [text, where] : *texts) {
        auto own = dunlin::method_settings(text, where);
        if (!own) return tl::unexpected(own.error());
        all.insert(all.end(), own->begin(), own->end());
    }
    for (const std::string& assignment : assignments) {
        if (MethodSetting one = split_method(assignment); !one.method.empty()) all.push_back(std::move(one));
    }
    return all;
}

Outcome<void> TrainRequest::apply(Settings& settings, std::string_view method_key) const {
    const auto texts = documents();
    if (!texts) return tl::unexpected(texts.error());
    for (const std::string& assignment : assignments) {
        const std::string_view key = std::string_view(assignment).substr(0, assignment.find('='));
        for (const auto& [given, option, own] :
             {std::tuple{!method.empty(), "--method", method_key},
              std::tuple{seed.has_value(), "--seed", std::string_view("seed")}}) {
            if (given && key == own)
                return refuse(fmt::format("--set {}: {} says it too; give one of them", assignment, option));
        }
    }
    // First what holds for all methods, which says what the method is; then again with its own between.
    std::string chosen;
    const auto own_of = [&](const MethodSetting& one) { return !chosen.empty() && one.method == chosen; };
    const auto set_own = [&](const MethodSetting& one) -> Outcome<void> {
        return whole_key(settings, method_key, one).and_then([&](const std::string& whole) {
            return settings.set(whole);
        });
    };
    const auto pass = [&]() -> Outcome<void> {
        for (const auto& [text, where] : *texts) {
            if (Outcome<void> read = settings.read(text, where); !read) return read;
            if (chosen.empty()) continue;
            const auto own = dunlin::method_settings(text, where);
            if (!own) return tl::unexpected(own.error());
            for (const MethodSetting& one : *own) {
                if (!own_of(one)) continue;
                if (Outcome<void> set = set_own(one); !set) return set;
            }
        }
        if (!method.empty()) {
            if (Outcome<void> set = settings.set(fmt::format("{}={}", method_key, method)); !set) return set;
        }
        std::vector<std::string> given;
        for (const std::string& assignment : assignments) {
            const MethodSetting one = split_method(assignment);
            if (one.method.empty()) {
                given.push_back(assignment);
            } else if (own_of(one)) {
                Outcome<std::string> whole = whole_key(settings, method_key, one);
                if (!whole) return tl::unexpected(whole.error());
                given.push_back(*std::move(whole));
            }
        }
        return settings.set(given);
    };
    if (Outcome<void> done = pass(); !done) return done;
    const auto own = method_settings();
    if (!own) return tl::unexpected(own.error());
    const std::vector<std::string> methods = settings.choices(method_key);
    for (const MethodSetting& one : *own) {
        if (std::ranges::find(methods, one.method) == methods.end())
            return refuse(fmt::format("{}: no method \"{}\" here; there are {}", one.text(), one.method,
                                      fmt::join(methods, ", ")));
    }
    if (!own->empty() && !general) {
        const std::string quoted = settings.value(method_key);
        if (quoted.size() > 2) chosen = quoted.substr(1, quoted.size() - 2);
        if (Outcome<void> done = pass(); !done) return done;
    }
    if (seed) return settings.set(fmt::format("seed={}", *seed));
    return {};
}

}  // namespace dunlin::app
