// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/simulation/any_fleet.hpp"

#include <cstdint>
#include <string>

namespace dunlin {

/// A fleet that lives by rounds instead of a clock: the settings that experiments with such a fleet have alike. Their
/// own derive from it and from ProblemSettings.
struct RoundSettings {
    std::string graph = "directed-ring";
    float probability = 0.3f;  ///< of an edge of an Erdos-Renyi graph
    std::string graph_file;
    int wake_gap = 2;     ///< Gamma_w
    int delay_limit = 2;  ///< Gamma_d
    int loss_limit = -1;  ///< Gamma_f; -1: no bound
    float loss = 0.2f;
    float duplication = 0.0f;
    int crash_gap = 0;  ///< mean rounds between a node's crashes; 0: none
    int downtime = 20;  ///< mean rounds until its restart
    AbsenceSettings absences;
    std::string trace;      ///< a file of NetworkTrace; empty: none
    float tick_ms = 50.0f;  ///< that a round lasts, as a trace of round trips counts it

    int rounds = 600;          ///< in which nodes learn
    int settling_rounds = 0;   ///< after them, in which nodes only agree; none with a server or alone
    int local_steps = 1;       ///< Q, with a server
    float server_rate = 0.1f;  ///< beta of PersA-FL
    int fraction_bits = 48;
    float largest_value = 1000.0f;
    float weight_floor = 0.01f;
    int evaluate_every = 50;

    GraphRecipe graph_recipe(std::uint32_t nodes) const;
    /// Puts into `learning`, which says how nodes learn by a method, what a server of so many nodes is told here.
    void serve(FederatedSettings& learning, int nodes) const;
    /// The fleet. `theta` are the steps of a round without a server.
    FleetRecipe recipe(const FederatedSettings& learning, std::uint32_t nodes, std::uint64_t seed,
                       const StepSchedule& theta) const;
};

/// Adds network.graph, probability, file, wake_gap, delay_limit, loss and loss_limit.
void add_round_network_settings(Settings& list, RoundSettings& settings);
/// Adds method.fraction_bits, largest_value and weight_floor.
void add_mass_settings(Settings& list, RoundSettings& settings);
/// The keys network.trace and network.tick_ms.
void add_trace_settings(Settings& list, std::string& trace, float& tick_ms);

}  // namespace dunlin
