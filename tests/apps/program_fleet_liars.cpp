// SPDX-License-Identifier: Apache-2.0
// Real processes, one of which has an admitted key and lies (hostile_node.cpp): it cannot stop a job, freeze the coordinator
// or fill its memory, and what it spoils is said.
#include "live_fleet.hpp"

#include <fstream>

using namespace dunlin::program;
using nlohmann::json;

namespace {

constexpr const char* liar = "mallory";

LiveFleet fleet_with(const std::string& attack) {
    std::vector<Member> members{{"a"}, {"b"}, {"c"}, {"d"}};
    members.push_back({liar, "dunlin-node-hostile", {"--attack", attack}});
    return LiveFleet(members);
}

std::vector<std::string> job_of(const std::string& aggregation, std::vector<std::string> more) {
    std::vector<std::string> words{"run",   "classification",
                                   "--set", "data.clients=5",
                                   "--set", "data.rows=500",
                                   "--set", "data.split=uniform",
                                   "--set", "model.hidden=[8]",
                                   "--set", "objective.name=plain",
                                   "--set", "federated.local_steps=5",
                                   "--set", "federated.local_rate=0.1",
                                   "--set", "aggregation.name=" + aggregation};
    for (std::string& word : more) words.insert(words.end(), {"--set", std::move(word)});
    return words;
}

long resident_kb(pid_t process) {
    std::ifstream status("/proc/" + std::to_string(process) + "/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("VmRSS:")) return std::stol(line.substr(6));
    }
    return -1;
}

/// All but the liar, which is the last.
std::vector<json> honest(const json& status) {
    std::vector<json> members;
    for (const json& member : status["member_list"]) {
        if (member["name"] != liar) members.push_back(member);
    }
    REQUIRE(members.size() == 4);
    return members;
}

double mean_loss(const json& status) {
    double sum = 0;
    for (const json& member : honest(status)) sum += member["metrics"]["loss"].get<double>() / 4;
    return sum;
}

}  // namespace

TEST_CASE("a member that sends what no sum bears is refused, and the others learn on without it [invariant 9]") {
    for (const std::string attack : {"infinity", "huge", "false-samples"}) {
        INFO(attack);
        const LiveFleet fleet = fleet_with(attack);
        // Of a fleet that has only begun nobody knows yet what is usual, and limits.norm is all that there is.
        const json job = fleet.ask(job_of("persafl", {"fleet.updates=60", "limits.norm=1000"}))["job"];
        REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "100"}).code == 0);
        const json status = fleet.ask({"status", "--job", job.dump()});
        INFO(status.dump(1));
        CHECK(status["state"] == "finished");
        for (const json& member : honest(status)) CHECK(member["updates"] > 0);
        CHECK(status["member_list"][4]["updates"] == 0);
        CHECK(mean_loss(status) < 2.2);  // 2.3 is who knows nothing of ten digits
    }
}

TEST_CASE("a defence bears a member that sends the opposite, noise, or what hides among deviations") {
    for (const std::string attack : {"sign-flip", "gaussian", "inner-product", "alie"}) {
        INFO(attack);
        const LiveFleet fleet = fleet_with(attack);
        const json job = fleet.ask(job_of("fedavg", {"fleet.updates=20", "defence.name=trimmed-mean"}))["job"];
        REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "100"}).code == 0);
        const json status = fleet.ask({"status", "--job", job.dump()});
        INFO(status.dump(1));
        CHECK(status["state"] == "finished");
        CHECK(mean_loss(status) < 2.2);
    }
}

TEST_CASE("a flood of old updates fills no memory, and the coordinator answers meanwhile") {
    const LiveFleet fleet = fleet_with("stale-flood");
    const json job = fleet.ask(job_of("persafl", {"fleet.updates=400"}))["job"];
    const auto updates = [&] { return fleet.ask({"status", "--job", job.dump()})["updates"].get<int>(); };
    while (updates() < 50) REQUIRE(fleet.server->anyone_left());
    const long before = resident_kb(fleet.server->process());
    REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "100"}).code == 0);
    CHECK(resident_kb(fleet.server->process()) < before + 64 * 1024);
    const json status = fleet.ask({"status", "--job", job.dump()});
    CHECK(status["state"] == "finished");
    for (const json& member : honest(status)) CHECK(member["updates"] > 0);
}

TEST_CASE("a tick that a member jumps to ends no job early, and nobody falls out of it") {
    const LiveFleet fleet = fleet_with("tick-jump");
    const json job = fleet.ask(job_of("pars-push", {"fleet.updates=30"}))["job"];
    REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "100"}).code == 0);
    const json status = fleet.ask({"status", "--job", job.dump()});
    INFO(status.dump(1));
    CHECK(status["state"] == "finished");
    CHECK(status["balanced"] == true);
    for (const json& member : honest(status)) {
        CHECK(member["state"] == "active");
        CHECK(member["metrics"]["updates"] >= 25);
    }
}

TEST_CASE("numbers that overflow others stop no coordinator, and what is lost with them is said") {
    const LiveFleet fleet = fleet_with("overflow");
    const json job = fleet.ask(job_of("pars-push", {"fleet.updates=60"}))["job"];
    REQUIRE(fleet.command({"wait", "--for=ended", "--timeout", "100"}).code != 3);
    const json status = fleet.ask({"status", "--job", job.dump()});
    INFO(status.dump(1));
    CHECK(status["ended"] == true);
    // Those who could not take another step are out (docs/threats.md), and the books have what they held.
    bool all = true;
    for (const json& member : honest(status)) all = all && member["state"] == "active";
    CHECK((all || !status["warnings"].empty()));
    // The fleet is there for the next job.
    fleet.ask(job_of("persafl", {"fleet.updates=1"}));
    CHECK(fleet.command({"wait", "--for=reported", "--timeout", "60"}).code == 0);
}

TEST_CASE(
    "mass that a member invents, or states falsely, is in the books: status, wait and pull say so [invariant 1]") {
    for (const std::string attack : {"mass-invention", "false-mass"}) {
        INFO(attack);
        const LiveFleet fleet = fleet_with(attack);
        const json job = fleet.ask(job_of("pars-push", {"fleet.updates=40"}))["job"];
        const Ended waited = fleet.command({"wait", "--for=reported", "--timeout", "100"});
        const Ended shown = fleet.command({"status", "--job", job.dump(), "--json"});
        INFO(shown.out << shown.err << waited.err);
        CHECK(waited.code == 1);
        CHECK(shown.code == 1);
        const json status = json::parse(shown.out);
        CHECK(status["state"] == "finished");
        CHECK(status["balanced"] == false);
        const Ended pulled = fleet.command({"pull", "--job", job.dump(), "--out", "model"});
        CHECK(pulled.code == 1);
        CHECK_THAT(pulled.err, Catch::Contains("do not balance"));
    }
}

TEST_CASE("who never freezes or never states holds up no stop that does not wait") {
    for (const std::string attack : {"never-freezes", "never-states"}) {
        INFO(attack);
        const LiveFleet fleet = fleet_with(attack);
        const json job = fleet.ask(job_of("pars-push", {}))["job"];
        REQUIRE(fleet.command({"wait", "--for=accepted", "--timeout", "60"}).code == 0);
        REQUIRE(fleet.command({"stop", "--job", job.dump(), "--now"}).code == 0);
        REQUIRE(fleet.command({"wait", "--for=ended", "--timeout", "20"}).code != 3);
        CHECK(fleet.ask({"status", "--job", job.dump()})["state"] == "stopped");
    }
}
