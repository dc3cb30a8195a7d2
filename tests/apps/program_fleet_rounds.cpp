// SPDX-License-Identifier: Apache-2.0
// Real processes that agree with their neighbours by every machine there is.
#include "live_fleet.hpp"
#include "training/host/array_file.hpp"

#include <functional>

using namespace dunlin::program;
using nlohmann::json;

namespace {

const std::vector<std::string> small_classification{"classification",
                                                    "--set",
                                                    "data.clients=3",
                                                    "--set",
                                                    "data.rows=300",
                                                    "--set",
                                                    "model.hidden=[8]",
                                                    "--set",
                                                    "federated.local_steps=5",
                                                    "--set",
                                                    "hgp.inner_steps=4",
                                                    "--set",
                                                    "hgp.neumann_steps=3",
                                                    "--set",
                                                    "bilevel.personal_rate=0.1",
                                                    "--set",
                                                    "federated.local_rate=0.1",
                                                    "--set"};

/// The objective that is learned by this aggregation here.
std::string objective_of(const std::string& aggregation) {
    return std::string("objective.name=") + (aggregation == "hgp" ? "bilevel" : "plain");
}

/// What real nodes are to do.
std::vector<std::string> job_of(const std::string& aggregation, const std::vector<std::string>& more) {
    std::vector<std::string> words{"run"};
    words.insert(words.end(), small_classification.begin(), small_classification.end());
    words.insert(words.end(), {objective_of(aggregation), "--set", "aggregation.name=" + aggregation, "--set",
                               "fleet.tick_ms=10"});
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

std::vector<float> parameters_in(const std::filesystem::path& file) {
    return *dunlin::ArrayFile::read(file, "model")->floats("parameters");
}

std::vector<float> model_of(const LiveFleet& fleet, const json& job) {
    const std::string name = "model-" + job.dump();
    fleet.ask({"pull", "--job", job.dump(), "--out", name});
    return parameters_in(fleet.folder / name);
}

/// The same 40 rounds in one process, where nothing is lost.
std::vector<float> simulated(const LiveFleet& fleet, const std::string& aggregation) {
    std::vector<std::string> words{"train"};
    words.insert(words.end(), small_classification.begin(), small_classification.end());
    words.insert(words.end(),
                 {objective_of(aggregation), "--set", "aggregation.name=" + aggregation, "--set",
                  "clock.budget_s=181", "--set", "clock.speed_spread=0", "--out", aggregation, "--quiet"});
    REQUIRE(run(fleet.folder, words).code == 0);
    // By hgp 15 of the 40 rounds ask for a Hessian's products, which are two gradients.
    CHECK(read_json(fleet.folder / aggregation / "summary.json")["task_gradients"] ==
          3 * (aggregation == "hgp" ? 55 : 40));
    return parameters_in(fleet.folder / aggregation / "model.dunlin");
}

}  // namespace

TEST_CASE("real nodes learn by every aggregation with neighbours") {
    const LiveFleet fleet({{"a"}, {"b"}, {"c"}});
    for (const std::string aggregation : {"sgp", "dsgd", "spd", "gnsd", "push-pull", "hgp"}) {
        INFO(aggregation);
        const json job = fleet.ask(job_of(aggregation, {"--set", "fleet.updates=8"}))["job"];
        REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "60"}).code == 0);
        const json status = fleet.ask({"status", "--job", job.dump()});
        CHECK(status["state"] == "finished");
        CHECK(status["aggregation"] == (aggregation == "sgp" ? "push-sum" : aggregation));
        CHECK(status["weight_lost"] == 0);
        for (const json& member : status["member_list"]) {
            INFO(member);
            CHECK(member["metrics"]["accuracy"] > 0.2);  // a tenth is what guessing would give
        }
        if (aggregation == "sgp" || aggregation == "push-pull") continue;
        // By rounds there is one result, but for how a mean of three is rounded.
        for (const json& member : status["member_list"]) CHECK(member["metrics"]["updates"] == 40);
        const std::vector<float> expected = simulated(fleet, aggregation), found = model_of(fleet, job);
        REQUIRE(found.size() == expected.size());
        // By hyper-gradient push the last layer, 8 to 10, is each node's own: in a model of all it says nothing.
        const std::size_t own = aggregation == "hgp" ? 8 * 10 + 10 : 0;
        for (std::size_t k = 0; k < found.size() - own; ++k) {
            INFO("parameter " << k << " of " << found.size());
            REQUIRE(static_cast<double>(found[k]) == Approx(static_cast<double>(expected[k])).margin(1e-6));
        }
    }
}

TEST_CASE("real nodes learn alone, and nobody is told that they agreed") {
    const LiveFleet fleet({{"a"}, {"b"}});
    const json job = fleet.ask(job_of("local", {"--set", "baseline.steps=60"}))["job"];
    REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "60"}).code == 0);
    const json status = fleet.ask({"status", "--job", job.dump()});
    CHECK(status["state"] == "finished");
    CHECK(status["aggregation"] == "local");
    CHECK_THAT(status["warnings"].dump(), Catch::Contains("models that never met"));
    for (const json& member : status["member_list"]) {
        INFO(member);
        CHECK(member["metrics"]["updates"] == 60);
        CHECK(member["metrics"]["accuracy"] > 0.5);  // half of its rows have one of two labels
    }
    const Ended refused = fleet.command(job_of("global", {}));
    CHECK(refused.code == 2);
    CHECK_THAT(refused.err, Catch::Contains("everybody in one place"));
    CHECK_THAT(fleet.command(job_of("local", {"--set", "fleet.updates=8"})).err, Catch::Contains("baseline.steps"));
}

TEST_CASE("real nodes learn with a convolutional network, by MAML's Hessians and by layers of their own") {
    const LiveFleet fleet;
    for (const std::string objective : {"maml", "bilevel"}) {
        INFO(objective);
        const json job = fleet.ask({"run",   "classification",
                                    "--set", "data.clients=2",
                                    "--set", "data.rows=400",
                                    "--set", "data.labels_per_client=5",
                                    "--set", "model.layers=[\"conv 3x3 8 stride=2 relu\", \"dense 10\"]",
                                    "--set", "objective.name=" + objective,
                                    "--set", "aggregation.name=persafl",
                                    "--set", "federated.server_rate=0.5",
                                    "--set", "federated.local_rate=0.1",
                                    "--set", "maml.local_rate=0.1",
                                    "--set", "fleet.updates=40"})["job"];
        REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "60"}).code == 0);
        const json status = fleet.ask({"status", "--job", job.dump()});
        CHECK(status["state"] == "finished");
        for (const json& member : status["member_list"]) CHECK(member["metrics"]["accuracy"] > 0.5);
    }
}

TEST_CASE("kill -9 of a node and of the coordinator changes no bit of what real nodes learn by rounds") {
    LiveFleet fleet({{"a"}, {"b"}, {"c"}});
    const auto learn = [&](const std::string& token, const std::function<void(const json&)>& meanwhile) {
        const json job = fleet.ask(
            job_of("gnsd", {"--set", "fleet.updates=30", "--set", "fleet.regroup_s=100", "--token", token}))["job"];
        meanwhile(job);
        REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "100"}).code == 0);
        CHECK(fleet.ask({"status", "--job", job.dump()})["state"] == "finished");
        return model_of(fleet, job);
    };
    const std::vector<float> undisturbed = learn("one", [](const json&) {});
    bool early = false;
    const std::vector<float> disturbed = learn("two", [&](const json& job) {
        const auto tick = [&](std::size_t member) {
            const json row = fleet.ask({"status", "--job", job.dump()})["member_list"][member];
            return row["tick"].is_number() ? row["tick"].get<int>() : -1;
        };
        while (tick(0) < 10) REQUIRE(fleet.nodes[0]->anyone_left());
        fleet.nodes[1]->send(SIGKILL);
        fleet.nodes[1]->wait();
        early = tick(0) < 140;
        fleet.nodes[1] = fleet.start_node("b", fleet.server_key);
        while (tick(1) < 30) REQUIRE(fleet.nodes[1]->anyone_left());
        fleet.server->send(SIGKILL);
        fleet.server->wait();
        fleet.serve();
    });
    CHECK(early);
    CHECK(disturbed == undisturbed);
}
