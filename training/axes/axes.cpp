// SPDX-License-Identifier: Apache-2.0
#include "training/axes/axes.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace dunlin {
namespace {

using A = AggregationName;

constexpr Preset papers[] = {{"persafl", "PersA-FL, option A (plain)", preset::persafl},
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
                             {"hgp", "hyper-gradient push", {Objective::bilevel, A::hgp}},
                             {"ditto", "Ditto", {Objective::ditto, A::fedavg}},
                             {"local", "each alone", preset::local},
                             {"global", "one model for all", preset::global}};

constexpr ObjectiveTraits objectives[] = {
    {"plain", "plain", "its loss"},
    {"maml", "MAML", "that after MAML's inner steps"},
    {"moreau", "Moreau envelope", "its Moreau envelope"},
    {"bilevel", "bilevel", "or, bilevel, its loss at personal layers that follow", Kept::layers},
    {"ditto", "Ditto", "its loss, with a model of its own that follows", Kept::model}};

}  // namespace

std::span<const ObjectiveTraits> all_objectives() {
    return objectives;
}

std::span<const Preset> presets() {
    static const std::vector<Preset> all = [] {
        std::vector<Preset> list(std::begin(papers), std::end(papers));
        for (std::size_t a = 0; a < aggregation_count; ++a) {
            const Method plain{Objective::plain, static_cast<A>(a)};
            if (refusal_of(plain).empty() && std::ranges::find(list, plain, &Preset::method) == list.end())
                list.push_back({name_of(plain.aggregation), title_of(plain.aggregation), plain});
        }
        return list;
    }();
    return all;
}

std::vector<std::pair<std::string_view, Method>> with_neighbours(Objective objective) {
    std::vector<std::pair<std::string_view, Method>> list;
    for (std::size_t a = 0; a < aggregation_count; ++a) {
        const auto by = static_cast<A>(a);
        if (!has_neighbours(by)) continue;
        const Method method{objective, by};
        list.emplace_back(name_of(by), refusal_of(method).empty() ? method : Method{Objective::bilevel, by});
    }
    return list;
}

std::string_view name_of(Objective objective) {
    return traits_of(objective).name;
}

std::string_view name_of(AggregationName aggregation) {
    return traits_of(aggregation).name;
}

std::string_view title_of(Objective objective) {
    return traits_of(objective).title;
}

std::string_view title_of(AggregationName aggregation) {
    return traits_of(aggregation).title;
}

std::string name_of(Method method) {
    const auto found = std::ranges::find(presets(), method, &Preset::method);
    if (found != presets().end()) return std::string(found->name);
    return fmt::format("{}+{}", name_of(method.objective), name_of(method.aggregation));
}

std::string title_of(Method method) {
    const auto found = std::ranges::find(presets(), method, &Preset::method);
    if (found != presets().end()) return std::string(found->title);
    return fmt::format("{} ({})", title_of(method.aggregation), title_of(method.objective));
}

std::string refusal_of(Method method) {
    if (method.aggregation == A::hgp && method.objective != Objective::bilevel)
        return "hyper-gradient push pushes the derivative by what stays with each node, which is a bilevel "
               "problem's: "
               "take objective.name = bilevel, or another aggregation";
    if (method.aggregation == A::global && traits_of(method.objective).kept == Kept::model)
        return "one model for all belongs to no node that would keep one of its own: take aggregation.name = "
               "local, "
               "or another objective";
    if (method.aggregation == A::global && traits_of(method.objective).kept == Kept::layers)
        return "one model for all has no personal part for the lower level to move: take aggregation.name = local, "
               "or another objective";
    return {};
}

void add_axes(Settings& list, Method& method) {
    std::string about;
    std::vector<std::pair<std::string_view, Objective>> names;
    for (std::size_t o = 0; o < all_objectives().size(); ++o) {
        about += (o > 0 ? "; " : "what a node optimises: ") + std::string(all_objectives()[o].about);
        names.emplace_back(all_objectives()[o].name, static_cast<Objective>(o));
    }
    list.add("objective.name", method.objective, about, std::span(std::as_const(names)));
    std::vector<std::pair<std::string_view, A>> aggregations;
    for (std::size_t a = 0; a < aggregation_count; ++a)
        aggregations.emplace_back(name_of(static_cast<A>(a)), static_cast<A>(a));
    list.add("aggregation.name", method.aggregation,
             "how nodes agree: by a server, with neighbours, or (local and global) not at all",
             std::span(std::as_const(aggregations)));
}

}  // namespace dunlin
