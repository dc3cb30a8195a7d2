// SPDX-License-Identifier: Apache-2.0
#include "training/problems/problem_kinds.hpp"

#include "training/host/plain_text.hpp"
#include "training/problems/character_fleet.hpp"
#include "training/problems/classification_fleet.hpp"
#include "training/problems/decentralised_fleet.hpp"
#include "training/problems/few_shot_fleet.hpp"
#include "training/problems/navigation_fleet.hpp"
#include "training/problems/point_fleet.hpp"
#include "training/problems/ranking_fleet.hpp"
#include "training/problems/regression_fleet.hpp"
#include "training/settings/run_settings.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace dunlin {
namespace {

std::deque<RegisteredProblem>& table() {
    static std::deque<RegisteredProblem> problems{
        registered(classification_kind()), registered(ranking_kind()),          registered(point_fleet_kind()),
        registered(character_kind()),      registered(navigation_fleet_kind()), registered(regression_kind()),
        registered(few_shot_kind()),       registered(decentralised_kind())};
    return problems;
}

bool is_name(std::string_view name) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    };
    return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, allowed);
}

}  // namespace

Settings problem_settings(ProblemSettings& s) {
    Settings list;
    add_run_settings(list, s);
    return list;
}

void add_source_setting(Settings& list, ProblemSettings& s) {
    list.add(
        "data.source", s.source,
        "whose data: job, what this document says; nodes, on real nodes each one's own (dunlin-node run --data)",
        {{"job", DataSource::job}, {"nodes", DataSource::nodes}});
}

const std::deque<RegisteredProblem>& registered_problems() {
    return table();
}

void add_first(RegisteredProblem problem) {
    table().push_front(std::move(problem));
}

const RegisteredProblem* find_problem(std::string_view name) {
    const auto found = std::ranges::find(table(), name, &RegisteredProblem::name);
    return found == table().end() ? nullptr : &*found;
}

bool is_built_in(std::string_view name) {
    constexpr std::string_view names[] = {"navigation", "pdbo"};
    return std::ranges::find(names, name) != std::end(names);
}

Outcome<void> register_problem(RegisteredProblem kind) {
    const auto refused = [&](std::string_view why) {
        return refuse(fmt::format("the problem \"{}\": {}", shown(kind.name, false), why));
    };
    if (!is_name(kind.name)) return refused("its name is to be of 1 to 64 letters, digits, '-' and '_'");
    if (is_built_in(kind.name) || find_problem(kind.name) != nullptr) return refused("the name is taken");
    const auto defaults = kind.defaults();
    const Settings list = kind.settings(*defaults);
    for (const std::string& key :
         {std::string("kind"), std::string("experiment"), std::string("seed"), kind.method_key}) {
        if (list.value(key).empty())
            return refused(fmt::format(
                "its settings have no {}; begin with problem_settings and end with add_federated_settings", key));
    }
    table().push_back(std::move(kind));
    return {};
}

FederatedSettings ProblemExperiment::learning() const {
    return kind_->learning ? kind_->learning(*settings_) : settings_->federated;
}

Judging ProblemExperiment::judging(const FederatedProblem& made) const {
    if (kind_->judging) return kind_->judging(*settings_);
    return {.personal = settings_->federated.personalisation(made.split().has_personal())};
}

TrainedModel ProblemExperiment::description(const FederatedProblem& made) const {
    TrainedModel model = kind_->describe ? kind_->describe(*settings_, made) : made.description();
    model.experiment = settings_->experiment;
    if (model.personal_is.empty()) model.personal_is = personal_sentence(judging(made).personal);
    return model;
}

Outcome<std::unique_ptr<FederatedProblem>> ProblemExperiment::make(int threads) const {
    if (nodes_bring_data())
        return refuse(
            "data.source = nodes: the data are on the nodes, none are here; `dunlin fleet run` learns from them, "
            "and "
            "data.source = job with data.path from data of this machine");
    auto made = kind_->make(*settings_, threads);
    if (made && settings_->federated.objective() == Objective::bilevel && !(*made)->split().has_personal())
        return refuse(
            fmt::format("objective.name = bilevel: it needs personal layers, and {} has none", kind_->name));
    return made;
}

Outcome<std::unique_ptr<FederatedProblem>> ProblemExperiment::make_own(const std::string& path) const {
    if (!kind_->make_own)
        return refuse(fmt::format("data.source = nodes: of {} nodes cannot bring data of their own", kind_->name));
    return kind_->make_own(*settings_, path);
}

std::string ProblemExperiment::about(const FederatedProblem& made) const {
    if (kind_->about) return kind_->about(*settings_, made);
    return fmt::format("{}: {} {}.", kind_->name, made.nodes(), kind_->nodes_are);
}

}  // namespace dunlin
