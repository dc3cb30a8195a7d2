// SPDX-License-Identifier: Apache-2.0
#include "ferries.hpp"

#include "ferry.hpp"
#include "training/problems/policy_problem.hpp"

using namespace dunlin;

namespace {

/// The settings of this problem; those that all fleets of policies have are in the base.
struct FerrySettings : PolicySettings {
    float current = 0.02f;
};

Settings ferry_settings(FerrySettings& s) {
    Settings list = problem_settings(s);
    add_policy_settings(list, s, false);
    list.add("environment.current", s.current, "strongest current, in places a step", {0, 1});
    add_federated_settings(list, s.federated);
    return list;
}

Outcome<std::unique_ptr<FederatedProblem>> make_ferries(const FerrySettings& s, int threads) {
    EnvironmentTexts texts{.task = "ferries",
                           .input = "where the ferry is, from bank to bank, and ten times its speed",
                           .output = "logits of the rudder's positions",
                           .input_names = {"place", "speed"},
                           .output_names = {"left", "straight on", "right"}};
    std::vector<Ferry> ferries;
    Stream random(s.seed, 1, Purpose::tasks);
    for (int i = 0; i < s.nodes; ++i) {
        Ferry ferry = Ferry::sample(random);
        ferry.current *= s.current / 0.02f;
        texts.nodes.push_back(ferry.reversed ? "reversed rudder" : "straight rudder");
        ferries.push_back(ferry);
    }
    return make_policy_problem(s, std::move(ferries), std::move(texts), threads);
}

}  // namespace

Outcome<void> register_ferries() {
    return register_problem<FerrySettings>(
        {.name = "ferries", .nodes_are = "ferries", .settings = ferry_settings, .make = make_ferries});
}
