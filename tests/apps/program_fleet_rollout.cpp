// SPDX-License-Identifier: Apache-2.0
// Roll-outs by real processes, cut short with kill -9.
#include "live_fleet.hpp"

#include <set>

using namespace dunlin::program;
using nlohmann::json;

namespace {

/// Two policies of one experiment.
void make_policies(const Fleet& fleet) {
    for (const std::string seed : {"1", "2"}) {
        const Ended made = run(fleet.folder, {"train", "navigation", "--seed", seed, "--set", "rl.iterations=5",
                                              "--set", "policy.hidden=[8]", "--quiet", "--out", "policy" + seed});
        INFO(made.err);
        REQUIRE(made.code == 0);
    }
}

std::set<std::string> states_of(const json& rollout) {
    std::set<std::string> states;
    for (const json& device : rollout["devices"]) states.insert(device["state"]);
    return states;
}

}  // namespace

TEST_CASE("a roll-out over real nodes survives kill -9 of everybody, and a bad policy is taken back by itself") {
    LiveFleet fleet({{"alice"}, {"bob"}, {"carol"}, {"dave"}});
    make_policies(fleet);
    fleet.ask({"rollout", "policy1", "--to", "board", "--batch", "50%", "--name", "first"});
    const Ended whole = fleet.command({"rollout", "wait", "--timeout", "120"});
    INFO(whole.err);
    REQUIRE(whole.code == 0);
    CHECK(fleet.ask({"models"})["models"][0]["nodes"] == 4);

    // In the middle of the next one the coordinator and a node die.
    fleet.ask({"rollout", "policy2", "--to", "alice or not alice", "--batch", "1"});
    while (fleet.ask({"rollout", "show"})["wave"] == 0) {
    }
    fleet.nodes[1]->send(SIGKILL);
    fleet.server->send(SIGKILL);
    (void)fleet.server->wait();
    (void)fleet.nodes[1]->wait();
    fleet.serve();
    fleet.nodes[1] = fleet.start_node("bob", fleet.server_key);
    const Ended again = fleet.command({"rollout", "wait", "--timeout", "180"});
    INFO(again.err);
    REQUIRE(again.code == 0);
    CHECK(states_of(fleet.ask({"rollout", "show"})) == std::set<std::string>{"new"});

    // One that no node is allowed to find so bad goes back after its canary.
    fleet.ask({"rollout", "first", "--to", "board", "--watch", "return_ratio", "--against", "2", "--rollback-if",
               "worse-than=0.05"});
    const Ended back = fleet.command({"rollout", "wait", "--timeout", "180"});
    CHECK(back.code == 1);
    const json told = fleet.ask({"rollout", "show"});
    CHECK(told["state"] == "rolled-back");
    CHECK(told["wave"] == 1);
    CHECK(states_of(told) == std::set<std::string>{"old"});
    const json models = fleet.ask({"models"})["models"];
    CHECK(models[0]["nodes"] == 0);
    CHECK(models[1]["nodes"] == 4);
    CHECK(fleet.ask({"rollout", "history", "alice"})["history"].size() >= 2);
    CHECK(fleet.ask({"models", "compare", "first", "v2"})["nodes"].size() >= 4);
}
