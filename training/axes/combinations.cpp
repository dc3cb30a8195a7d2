// SPDX-License-Identifier: Apache-2.0
#include "training/axes/combinations.hpp"

#include <optional>

namespace dunlin {
namespace {

using A = AggregationName;
using K = RefusalKind;

constexpr TaskTraits tasks[] = {
    {.name = "grid-navigation",
     .experiment = "fleet-navigation",
     .settings = "policy.input=one-hot",

     .on_real_nodes = true},
    {.name = "grid-navigation-coordinates",
     .experiment = "fleet-navigation",
     .settings = "policy.input=coordinates",

     .on_real_nodes = true,
     .on_boards = true},
    {.name = "point-navigation", .experiment = "fleet-point-navigation", .on_real_nodes = true},
    {.name = "classification",
     .experiment = "classification",

     .on_real_nodes = true},
    {.name = "ranking", .experiment = "ranking", .on_real_nodes = true},
    {.name = "ranking-reward",
     .experiment = "ranking",
     .settings = "model.loss=reward",

     .on_real_nodes = true},
    {.name = "regression", .experiment = "regression", .linear = true, .on_real_nodes = true},
    {.name = "characters",
     .experiment = "characters",

     .on_real_nodes = true},
};

struct Refusal {
    K kind;
    std::string reason;
};
using Answer = std::optional<Refusal>;

Answer refuse(K kind, std::string reason) {
    return Refusal{kind, std::move(reason)};
}

Answer in_one_process(const TaskTraits& task, Objective objective, A by) {
    const Method method{objective, by};
    if (const std::string reason = refusal_of(method); !reason.empty()) return refuse(K::mathematics, reason);
    const Kept kept = traits_of(objective).kept;
    if (task.linear) {
        if (kept == Kept::model)
            return refuse(K::mathematics,
                          "what is shared is learned as by plain, and nothing else is judged here: take plain");
        if (kept == Kept::layers)
            return refuse(K::mathematics, "a linear model has one layer, which cannot be both shared and personal");
        return {};
    }
    if (kept == Kept::layers && !task.has_layers)
        return refuse(K::not_built,
                      "this task has no setting that says which layers stay with their node; take ditto");
    return {};
}

Answer on_real_nodes(const TaskTraits& task, A by) {
    if (by == A::global)
        return refuse(K::privacy,
                      "one model on everybody's data needs the data of everybody in one place; take fedavg");
    if (!task.on_real_nodes) return refuse(K::not_built, "no node has this task; `dunlin train` simulates it");
    return {};
}

Answer on_boards(const TaskTraits& task, Objective objective, A by) {
    if (traits_of(objective).kept != Kept::nothing)
        return refuse(K::memory, "a board has no place for what stays with a node; take plain, maml or moreau");
    if (!has_server(by) && !traits_of(by).holds_mass && by != A::dpsgd)
        return refuse(
            K::memory,
            "a board's image has no room for this machine; take pars-push, or dpsgd, which is push-sum there");
    if (has_server(by) && traits_of(by).sent > 1)
        return refuse(K::memory,
                      "a board's image leaves out the " + std::string(traits_of(by).carries) + "s; take fedavg");
    if (!task.on_boards) return refuse(K::not_built, "boards learn grid navigation with coordinates");
    return {};
}

Answer answer(const TaskTraits& task, Objective objective, A by, LinkName link) {
    // What cannot be at all is refused everywhere for the same reason.
    const Answer simulated = in_one_process(task, objective, by);
    const bool one_process = link == LinkName::simulated || link == LinkName::mpi;  // spread over ranks, or not
    if (one_process || (simulated && simulated->kind == K::mathematics)) return simulated;
    if (const Answer real = on_real_nodes(task, by)) return real;
    if (link == LinkName::serial) {
        if (const Answer board = on_boards(task, objective, by)) return board;
    }
    return simulated;
}

}  // namespace

std::string_view name_of(RefusalKind kind) {
    constexpr std::string_view names[] = {"", "mathematics", "memory", "privacy", "not-built"};
    return names[static_cast<std::size_t>(kind)];
}

std::string_view name_of(LinkName link) {
    constexpr std::string_view names[] = {"simulated", "zeromq", "serial", "mpi"};
    return names[static_cast<std::size_t>(link)];
}

std::span<const TaskTraits> task_traits() {
    return tasks;
}

std::vector<Combination> all_combinations(std::span<const TaskTraits> more) {
    std::vector<Combination> all;
    const auto add = [&](const TaskTraits& task) {
        for (std::size_t o = 0; o < all_objectives().size(); ++o) {
            const auto objective = static_cast<Objective>(o);
            for (std::size_t a = 0; a < aggregation_count; ++a) {
                const auto by = static_cast<A>(a);
                for (const LinkName link :
                     {LinkName::simulated, LinkName::zeromq, LinkName::serial, LinkName::mpi}) {
                    Combination one{&task, objective, name_of(by), link, K::none, ""};
                    if (const Answer refused = answer(task, objective, by, link)) {
                        one.refused = refused->kind;
                        one.reason = refused->reason;
                    }
                    all.push_back(std::move(one));
                }
            }
        }
    };
    for (const TaskTraits& task : tasks) add(task);
    for (const TaskTraits& task : more) add(task);
    return all;
}

}  // namespace dunlin
