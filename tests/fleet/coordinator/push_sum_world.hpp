// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "world.hpp"

#include <algorithm>

/// A world whose nodes learn without a server.
namespace dunlin::testing {

inline const WorldFaults calm;

inline const Job& job_of(World& world) {
    return world.coordinator().state().jobs().begin()->second;
}

inline Holding beginnings(const JobPlan& plan, std::uint32_t members) {
    Holding one{0, std::vector<Mass>(plan.first.size())}, all;
    plan.terms.format.to_mass(1.0f, one.weight);
    for (std::size_t k = 0; k < one.values.size(); ++k) plan.terms.format.to_mass(plan.first[k], one.values[k]);
    for (std::uint32_t i = 0; i < members; ++i) all.add(one);
    return all;
}

inline bool ended(World& world) {
    return job_of(world).ended().has_value();
}

/// Runs until every node has learned a little and keeps it.
inline bool begun(World& world) {
    return world.run(calm, 20'000, [&] {
        for (std::uint32_t i = 0; i < world.size(); ++i) {
            if (world.node(i).session->tick() < 3 || job_of(world).members()[i].state != MemberState::active)
                return false;
        }
        return true;
    });
}

/// Nothing of any epoch was lost, to the bit.
inline void check_balanced(World& world) {
    for (const auto& [index, entry] : world.chronicle().ledger) {
        INFO("epoch " << entry.epoch);
        CHECK(entry.lost.nothing());
        CHECK(entry.gone.empty());
    }
}

/// Every z is near the mean of what the members hold, which is the coordinator's model.
inline void check_model(World& world, const Holding& total) {
    const ConstVector<float> model = job_of(world).model();
    for (std::size_t k = 0; k < model.size(); ++k) {
        const double mean = static_cast<double>(total.values[k]) / static_cast<double>(total.weight);
        CHECK(static_cast<double>(model[k]) == Approx(mean).margin(1e-4));
    }
}

}  // namespace dunlin::testing
