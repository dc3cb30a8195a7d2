// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/adapt/objective.hpp"
#include "training/axes/gossip_settings.hpp"
#include "training/settings/settings.hpp"

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace dunlin {

/// How nodes agree, by the names that a person writes.
enum class AggregationName : std::uint8_t {
    // By a server.
    persafl,
    fedasync,
    fedbuff,
    fedavg,
    fedprox,
    // With neighbours.
    pars_push,
    sgp,    ///< stochastic gradient push
    dpsgd,  ///< D-PSGD
    dsgd,   ///< decentralised gradient descent
    spd,    ///< SPD / D^2, primal-dual
    gnsd,   ///< gradient tracking
    // Not at all.
    local,  ///< each node alone, from the same first parameters
    global  ///< one model, trained in one place on everybody's data
};

/// Is there a server?
constexpr bool has_server(AggregationName name) {
    return name <= AggregationName::fedprox;
}
/// Does the server wait for all that it asked?
constexpr bool in_rounds(AggregationName name) {
    return name == AggregationName::fedavg || name == AggregationName::fedprox;
}
/// Is there one model that all nodes share?
constexpr bool has_one_model(AggregationName name) {
    return has_server(name) || name == AggregationName::global;
}
/// The method of the nodes among themselves, where there is no server; none else.
std::optional<GossipMethod> gossip_of(AggregationName name);

/// Two of the axes: what a node optimises, and how nodes agree. Any pair is a method; the papers gave names to some.
struct Method {
    Objective objective = Objective::plain;
    AggregationName aggregation = AggregationName::persafl;

    friend constexpr bool operator==(const Method&, const Method&) = default;
};

/// A method that has a name, on the command line and for people.
struct Preset {
    std::string_view name, title;
    Method method;
};
/// All that are known.
std::span<const Preset> presets();

/// The papers' methods.
namespace preset {
inline constexpr Method persafl{Objective::plain, AggregationName::persafl};      ///< PersA-FL, option A
inline constexpr Method persafl_maml{Objective::maml, AggregationName::persafl};  ///< option B
inline constexpr Method persafl_me{Objective::moreau, AggregationName::persafl};  ///< option C
inline constexpr Method fedavg{Objective::plain, AggregationName::fedavg};
inline constexpr Method per_fedavg{Objective::maml, AggregationName::fedavg};
inline constexpr Method pfedme{Objective::moreau, AggregationName::fedavg};
inline constexpr Method fedprox{Objective::plain, AggregationName::fedprox};
inline constexpr Method fedasync{Objective::plain, AggregationName::fedasync};
inline constexpr Method fedbuff{Objective::plain, AggregationName::fedbuff};
inline constexpr Method pars_push{Objective::plain, AggregationName::pars_push};
inline constexpr Method pars_push_maml{Objective::maml, AggregationName::pars_push};  ///< as in its paper
inline constexpr Method pars_push_me{Objective::moreau, AggregationName::pars_push};
inline constexpr Method spdb{Objective::bilevel, AggregationName::spd};
inline constexpr Method local{Objective::plain, AggregationName::local};
inline constexpr Method global{Objective::plain, AggregationName::global};
}  // namespace preset

std::string_view name_of(Objective objective);
std::string_view name_of(AggregationName aggregation);
std::string_view title_of(Objective objective);
std::string_view title_of(AggregationName aggregation);
/// The preset's name, or both axes' names: "maml+fedbuff".
std::string name_of(Method method);
/// For people: "PersA-FL, option B (MAML)", "FedBuff (MAML)".
std::string title_of(Method method);

/// Why these two cannot be combined, whatever the task is, and what to change; "" where they can.
std::string refusal_of(Method method);

/// Adds objective.name and aggregation.name, with a line of help each.
void add_axes(Settings& list, Method& method);

}  // namespace dunlin
