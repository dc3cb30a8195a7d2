// SPDX-License-Identifier: Apache-2.0
// Real processes that agree with their neighbours by every machine there is.
#include "live_fleet.hpp"
#include "training/host/array_file.hpp"

#include <functional>

using namespace dunlin::program;
using nlohmann::json;

namespace {

std::vector<std::string> small_classification(const std::string& aggregation) {
    return {"run",   "classification",          "--set", "data.clients=3",
            "--set", "data.rows=300",           "--set", "model.hidden=[8]",
            "--set", "federated.local_steps=5", "--set", "federated.local_rate=0.1",
            "--set", "fleet.tick_ms=10",        "--set", "aggregation.name=" + aggregation};
}

std::vector<float> model_of(const LiveFleet& fleet, const json& job) {
    const std::string name = "model-" + job.dump();
    fleet.ask({"pull", "--job", job.dump(), "--out", name});
    return *dunlin::ArrayFile::read(fleet.folder / name, "model")->floats("parameters");
}

}  // namespace

TEST_CASE("real nodes learn by every aggregation with neighbours") {
    const LiveFleet fleet({{"a"}, {"b"}, {"c"}});
    for (const char* aggregation : {"sgp", "dsgd", "spd", "gnsd", "push-pull"}) {
        INFO(aggregation);
        auto words = small_classification(aggregation);
        words.insert(words.end(), {"--set", "fleet.updates=8"});
        const json job = fleet.ask(words)["job"];
        REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "60"}).code == 0);
        const json status = fleet.ask({"status", "--job", job.dump()});
        CHECK(status["state"] == "finished");
        CHECK(status["aggregation"] == (aggregation == std::string("sgp") ? "push-sum" : aggregation));
        CHECK(status["weight_lost"] == 0);
        for (const json& member : status["member_list"]) {
            INFO(member);
            CHECK(member["metrics"]["accuracy"] > 0.2);  // a tenth is what guessing would give
            if (aggregation != std::string("push-pull") && aggregation != std::string("sgp"))
                CHECK(member["metrics"]["updates"] == 40);
        }
        CHECK(fleet.ask({"pull", "--job", job.dump(), "--out", "model"})["parameters"] > 50);
    }
}

TEST_CASE("kill -9 of a node and of the coordinator changes no bit of what real nodes learn by rounds") {
    LiveFleet fleet({{"a"}, {"b"}, {"c"}});
    auto words = small_classification("gnsd");
    words.insert(words.end(), {"--set", "fleet.updates=30", "--set", "fleet.regroup_s=100"});
    const auto learn = [&](const std::string& token, const std::function<void(const json&)>& meanwhile) {
        auto all = words;
        all.insert(all.end(), {"--token", token});
        const json job = fleet.ask(all)["job"];
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
