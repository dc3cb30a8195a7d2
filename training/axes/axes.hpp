// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/adapt/objective.hpp"
#include "training/axes/aggregations.hpp"
#include "training/settings/settings.hpp"

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dunlin {

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
/// All that are known: the papers', and each aggregation of plain gradients by its own name.
std::span<const Preset> presets();
/// The aggregations with neighbours, each by its own name with this objective, or, where they cannot be combined, with
/// the bilevel one.
std::vector<std::pair<std::string_view, Method>> with_neighbours(Objective objective);

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

/// What stays with a node under an objective.
enum class Kept : std::uint8_t {
    nothing,
    layers,  ///< some of the model's, which follow the others
    model    ///< a whole one, which follows the shared one
};

/// What an objective states about itself.
struct ObjectiveTraits {
    std::string_view name;   ///< on the command line
    std::string_view title;  ///< for people
    std::string_view about;  ///< what it is, in a sentence on all
    Kept kept = Kept::nothing;
};
/// By their numbers.
std::span<const ObjectiveTraits> all_objectives();
inline const ObjectiveTraits& traits_of(Objective objective) {
    return all_objectives()[static_cast<std::size_t>(objective)];
}

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
