// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/robust/defence.hpp"
#include "training/axes/aggregations.hpp"
#include "training/host/failure.hpp"
#include "training/settings/settings.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace dunlin {

/// What members that lie send in a simulated fleet. All know what the honest ones of their round send, and the defence.
enum class AttackName : std::uint8_t {
    none,
    left_out,                 ///< nothing: the fleet of the honest ones alone, to compare with
    sign_flip,                ///< the opposite of what they learned
    label_flip,               ///< what they learned from labels in the opposite order
    gaussian,                 ///< random numbers
    infinity,                 ///< infinite numbers
    inner_product,            ///< the opposite of the honest mean (Xie, Koyejo, Gupta 2020)
    inner_product_optimised,  ///< as much of it as moves the defended sum furthest
    alie,                     ///< as far from the mean as hides in the deviation (Baruch et al. 2019)
    alie_optimised,           ///< the same
    mimic                     ///< what one honest member sends (Karimireddy, He, Jaggi 2022)
};
std::string_view name_of(AttackName name);

struct AttackSettings {
    AttackName name = AttackName::none;
    float share = 0.2f;     ///< of the members, that lie
    float strength = 1.0f;  ///< factor on sign_flip and inner_product; of gaussian the standard deviation

    bool attacks() const { return name != AttackName::none; }
    /// Is what liars send made of what all honest members of a round send?
    bool knows_the_round() const { return name >= AttackName::inner_product; }
    /// Do the liars take part at all?
    bool sends() const { return attacks() && name != AttackName::left_out; }
    /// Which members of so many lie, ascending; the same for every attack.
    std::vector<std::uint32_t> liars(std::uint32_t members, std::uint64_t seed) const;
};

std::string_view name_of(RobustSum sum);

/// Adds the sections [attack] and [defence].
void add_robust_settings(Settings& list, AttackSettings& attack, Defence& defence);

/// Of a fleet of so many members, of whom a sum gathers so many. Errors: an aggregation for which the attack or the
/// defence is not there, by name; more liars than a defence can bear; more members than it can compare.
Outcome<void> check_robust(const AttackSettings& attack, const Defence& defence, AggregationName aggregation,
                           std::uint32_t members, std::uint32_t gathered);

/// Errors: a run that lives by rounds of its own, where neither is there; labels to lie about where there are none.
Outcome<void> check_robust_run(const AttackSettings& attack, const Defence& defence, bool own_rounds, bool labels);

/// Errors: a defence that would keep more numbers than a coordinator should: every update of a round, and every
/// member's history.
Outcome<void> check_defence_memory(const Defence& defence, std::size_t members, std::size_t dimension);

}  // namespace dunlin
