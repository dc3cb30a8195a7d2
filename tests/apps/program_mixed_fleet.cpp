// SPDX-License-Identifier: Apache-2.0
// Nodes that are built for other processors, in one fleet with those of this machine. scripts/cross.sh fleet runs
// it and says how the others are started: DUNLIN_NODE_PROGRAMS holds their commands, with ':' between them.
#include "live_fleet.hpp"
#include "training/host/array_file.hpp"
#include "training/models/model_file.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

using namespace dunlin::program;
using nlohmann::json;

namespace {

std::vector<std::string> other_programs() {
    const char* named = std::getenv("DUNLIN_NODE_PROGRAMS");
    return named == nullptr ? std::vector<std::string>{} : parts(named, ':');
}

/// A coordinator of this machine, and a node for each program: node0, node1, ...
struct MixedFleet : LiveFleet {
    explicit MixedFleet(const std::vector<std::string>& programs) : LiveFleet(named(programs)) {}
    static std::vector<Member> named(const std::vector<std::string>& programs) {
        std::vector<Member> members;
        for (const std::string& program : programs)
            members.push_back({"node" + std::to_string(members.size()), program});
        return members;
    }

    /// Runs a job to its end and returns what its members report.
    json learn(std::vector<std::string> job) const {
        job.insert(job.begin(), "run");
        const json number = ask(job)["job"];
        REQUIRE(command({"wait", "--for=reported", "--timeout", "200"}).code == 0);
        const json ended = ask({"status", "--job", number.dump()});
        CHECK(ended["state"] == "finished");
        return ended["member_list"];
    }
    /// The newest job's model.
    std::vector<float> model(const std::string& kind) const {
        ask({"pull", "--out", "model"});
        if (kind == "policy") return dunlin::TrainedModel::read(folder / "model")->parameters;
        return *dunlin::ArrayFile::read(folder / "model", kind)->floats("parameters");
    }
};

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
    REQUIRE(a.size() == b.size());
    double most = 0;
    for (std::size_t k = 0; k < a.size(); ++k) most = std::max(most, std::abs(static_cast<double>(a[k]) - b[k]));
    return most;
}

const std::vector<std::string> rounds_of_three{"classification",          "--set", "data.clients=3",    "--set",
                                               "federated.method=pfedme", "--set", "model.hidden=[16]", "--set",
                                               "fleet.updates=4"};

}  // namespace

TEST_CASE("nodes of every processor draw the same numbers and learn the same bits", "[.mixed]") {
    std::vector<std::string> programs = other_programs();
    REQUIRE_FALSE(programs.empty());
    programs.insert(programs.begin(), "dunlin-node");
    const MixedFleet fleet(programs);
    for (const json& node : fleet.ask({"nodes"})["nodes"]) {
        INFO(node);
        // The processors are this machine's and others, and ARM's run the kernels for NEON.
        const std::string software = node["software"];
        CHECK((node["name"] == "node0") == (software.find(" neon") == std::string::npos));
    }

    // Which actions a policy takes hangs on draws and on every bit of it: one that differs leads elsewhere.
    const auto learned = [&](std::size_t k, const std::string& seed) {
        return fleet.learn({"fleet-navigation-server", "--nodes", "node" + std::to_string(k), "--seed", seed,
                            "--set", "policy.hidden=[8]", "--set", "report.adaptations=2", "--set",
                            "method.rounds=20", "--set", "kernels=reference"});
    };
    const json reported = learned(0, "1")[0]["metrics"];
    const std::vector<float> model = fleet.model("policy");
    CHECK(reported["updates"] == 20);
    for (std::size_t k = 1; k < programs.size(); ++k) {
        INFO(programs[k]);
        CHECK(learned(k, "1")[0]["metrics"] == reported);
        CHECK(fleet.model("policy") == model);
    }
    CHECK(learned(0, "2")[0]["metrics"] != reported);
    CHECK(fleet.model("policy") != model);
}

TEST_CASE("a mixed fleet learns in rounds what a fleet of one processor learns, but for rounding", "[.mixed]") {
    std::vector<std::string> programs = other_programs();
    REQUIRE(programs.size() == 2);
    programs.insert(programs.begin(), "dunlin-node");
    const MixedFleet alike({3, "dunlin-node"}), mixed(programs);
    const json expected = alike.learn(rounds_of_three), found = mixed.learn(rounds_of_three);
    REQUIRE(found.size() == 3);
    for (std::size_t k = 0; k < 3; ++k) {
        const double before = expected[k]["metrics"]["loss"], now = found[k]["metrics"]["loss"];
        CHECK(now == Approx(before).epsilon(1e-3));
    }
    const double difference = largest_difference(alike.model("model"), mixed.model("model"));
    INFO("largest difference of a parameter: " << difference);
    CHECK(difference < 1e-4);

    // And asynchronously, where every order of arrival is right: it reaches its target, once nodes in an emulator,
    // which send a fifth of what the others do, have learned for long enough.
    const json members = mixed.learn({"fleet-navigation-server", "--set", "policy.hidden=[16]", "--set",
                                      "method.rounds=2400", "--set", "method.server_rate=0.33"});
    for (const json& member : members) {
        INFO(member);
        CHECK(member["metrics"]["return_ratio"] > 0.85);
    }
}
