// SPDX-License-Identifier: Apache-2.0
#include "training/axes/axes.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace dunlin {
namespace {

using A = AggregationName;

constexpr Preset known[] = {{"persafl", "PersA-FL, option A (plain)", preset::persafl},
                            {"persafl-maml", "PersA-FL, option B (MAML)", preset::persafl_maml},
                            {"persafl-me", "PersA-FL, option C (Moreau envelope)", preset::persafl_me},
                            {"fedavg", "FedAvg", preset::fedavg},
                            {"per-fedavg", "Per-FedAvg", preset::per_fedavg},
                            {"pfedme", "pFedMe", preset::pfedme},
                            {"fedprox", "FedProx", preset::fedprox},
                            {"fedasync", "FedAsync", preset::fedasync},
                            {"fedbuff", "FedBuff", preset::fedbuff},
                            {"pars-push", "PARS-Push (plain)", preset::pars_push},
                            {"pars-push-maml", "PARS-Push (MAML)", preset::pars_push_maml},
                            {"pars-push-me", "PARS-Push (Moreau envelope)", preset::pars_push_me},
                            {"sgp", "stochastic gradient push", {Objective::plain, A::sgp}},
                            {"dpsgd", "D-PSGD", {Objective::plain, A::dpsgd}},
                            {"dsgd", "DSGD", {Objective::plain, A::dsgd}},
                            {"spd", "SPD/D2", {Objective::plain, A::spd}},
                            {"d2", "SPD/D2", {Objective::plain, A::spd}},
                            {"gnsd", "GNSD", {Objective::plain, A::gnsd}},
                            {"spdb", "SPDB", preset::spdb},
                            {"local", "each alone", preset::local},
                            {"global", "one model for all", preset::global}};

const std::initializer_list<std::pair<std::string_view, Objective>> objectives{{"plain", Objective::plain},
                                                                               {"maml", Objective::maml},
                                                                               {"moreau", Objective::moreau},
                                                                               {"bilevel", Objective::bilevel}};

constexpr std::string_view objective_titles[] = {"plain", "MAML", "Moreau envelope", "bilevel"};

const std::initializer_list<std::pair<std::string_view, A>> aggregations{
    {"persafl", A::persafl}, {"fedasync", A::fedasync}, {"fedbuff", A::fedbuff},
    {"fedavg", A::fedavg},   {"fedprox", A::fedprox},   {"pars-push", A::pars_push},
    {"sgp", A::sgp},         {"dpsgd", A::dpsgd},       {"dsgd", A::dsgd},
    {"spd", A::spd},         {"gnsd", A::gnsd},         {"local", A::local},
    {"global", A::global}};

constexpr std::string_view aggregation_titles[] = {
    "PersA-FL", "FedAsync", "FedBuff", "FedAvg", "FedProx",    "PARS-Push",        "stochastic gradient push",
    "D-PSGD",   "DSGD",     "SPD",     "GNSD",   "each alone", "one model for all"};
static_assert(std::size(aggregation_titles) == static_cast<std::size_t>(A::global) + 1);

}  // namespace

std::optional<GossipMethod> gossip_of(AggregationName name) {
    switch (name) {
        case A::pars_push:
            return GossipMethod::pars_push;
        case A::sgp:
            return GossipMethod::stochastic_gradient_push;
        case A::dpsgd:
            return GossipMethod::dpsgd;
        case A::dsgd:
            return GossipMethod::descent;
        case A::spd:
            return GossipMethod::primal_dual;
        case A::gnsd:
            return GossipMethod::gradient_tracking;
        default:
            return std::nullopt;
    }
}

std::span<const Preset> presets() {
    return known;
}

std::string_view name_of(Objective objective) {
    return std::ranges::find(objectives, objective, &std::pair<std::string_view, Objective>::second)->first;
}

std::string_view name_of(AggregationName aggregation) {
    return std::ranges::find(aggregations, aggregation, &std::pair<std::string_view, A>::second)->first;
}

std::string_view title_of(Objective objective) {
    return objective_titles[static_cast<std::size_t>(objective)];
}

std::string_view title_of(AggregationName aggregation) {
    return aggregation_titles[static_cast<std::size_t>(aggregation)];
}

std::string name_of(Method method) {
    const auto found = std::ranges::find(known, method, &Preset::method);
    if (found != std::end(known)) return std::string(found->name);
    return fmt::format("{}+{}", name_of(method.objective), name_of(method.aggregation));
}

std::string title_of(Method method) {
    const auto found = std::ranges::find(known, method, &Preset::method);
    if (found != std::end(known)) return std::string(found->title);
    return fmt::format("{} ({})", title_of(method.aggregation), title_of(method.objective));
}

std::string refusal_of(Method method) {
    if (method.objective == Objective::bilevel && method.aggregation == A::global)
        return "one model for all has no personal part for the lower level to move: take aggregation.name = local, "
               "or another objective";
    return {};
}

void add_axes(Settings& list, Method& method) {
    list.add(
        "objective.name", method.objective,
        "what a node optimises: its loss; that after MAML's inner steps; its Moreau envelope; or, bilevel, its "
        "loss at personal layers that follow",
        objectives);
    list.add("aggregation.name", method.aggregation,
             "how nodes agree: persafl to fedprox by a server, pars-push to gnsd with neighbours, local and global "
             "not at all",
             aggregations);
}

}  // namespace dunlin
