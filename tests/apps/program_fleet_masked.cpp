// SPDX-License-Identifier: Apache-2.0
// Real processes whose coordinator sees no single update, and what noisy sums are said to tell.
#include "live_fleet.hpp"
#include "training/host/array_file.hpp"

#include <algorithm>

using namespace dunlin::program;
using nlohmann::json;

namespace {

const std::vector<Member> six{{"a"}, {"b"}, {"c"}, {"d"}, {"e"}, {"f"}};

std::vector<std::string> job_of(const std::vector<std::string>& more) {
    std::vector<std::string> words{"run",   "classification",          "--set", "data.clients=6",
                                   "--set", "data.rows=600",           "--set", "model.hidden=[8]",
                                   "--set", "objective.name=plain",    "--set", "federated.local_steps=5",
                                   "--set", "federated.local_rate=0.1"};
    if (std::ranges::none_of(more, [](const std::string& word) { return word.starts_with("aggregation.name"); }))
        words.insert(words.end(), {"--set", "aggregation.name=fedavg"});
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

std::vector<float> model_of(const LiveFleet& fleet, const json& job) {
    const std::string name = "model-" + job.dump();
    fleet.ask({"pull", "--job", job.dump(), "--out", name});
    return *dunlin::ArrayFile::read(fleet.folder / name, "model")->floats("parameters");
}

}  // namespace

TEST_CASE("real nodes' masked rounds learn what rounds in clear learn, and say nothing else of anybody") {
    const LiveFleet fleet(six);
    std::vector<float> models[2];
    for (const bool masked : {false, true}) {
        const json job = fleet.ask(
            job_of({"--set", masked ? "secure_aggregation.enabled=true" : "secure_aggregation.enabled=false",
                    "--set", "fleet.updates=10"}))["job"];
        REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "100"}).code == 0);
        const json status = fleet.ask({"status", "--job", job.dump()});
        CHECK(status["state"] == "finished");
        CHECK(status["updates"] == 60);
        CHECK(status.value("masked", false) == masked);
        for (const json& member : status["member_list"]) CHECK(member.contains("metrics") != masked);
        models[masked] = model_of(fleet, job);
    }
    REQUIRE(models[0].size() == models[1].size());
    for (std::size_t k = 0; k < models[0].size(); ++k)
        REQUIRE(static_cast<double>(models[1][k]) == Approx(static_cast<double>(models[0][k])).margin(2e-4));
}

TEST_CASE("kill -9 of nodes and of the coordinator costs masked rounds, and the job goes on to its end") {
    LiveFleet fleet(six);
    const json job = fleet.ask(job_of({"--set", "secure_aggregation.enabled=true", "--set", "fleet.updates=25",
                                       "--set", "fleet.patience_s=1"}))["job"];
    const auto version = [&] { return fleet.ask({"status", "--job", job.dump()})["version"].get<int>(); };
    while (version() < 3) REQUIRE(fleet.server->anyone_left());
    fleet.nodes[1]->send(SIGKILL);
    fleet.nodes[1]->wait();
    const int killed = version();
    while (version() < killed + 2) REQUIRE(fleet.server->anyone_left());
    fleet.nodes[1] = fleet.start_node("b", fleet.server_key);
    fleet.server->send(SIGKILL);
    fleet.server->wait();
    fleet.serve();
    REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "100"}).code == 0);
    const json status = fleet.ask({"status", "--job", job.dump()});
    CHECK(status["state"] == "finished");
    CHECK(status["updates"].get<int>() >= 150);
    CHECK(status["member_list"][1]["updates"] > 2);
}

TEST_CASE("what cannot be masked is refused by name, with what to use instead") {
    const LiveFleet fleet(six);
    const auto refusal = [&](std::vector<std::string> more) {
        more.insert(more.end(), {"--set", "secure_aggregation.enabled=true"});
        const Ended ended = fleet.command(job_of(more));
        CHECK(ended.code == 2);
        return ended.err;
    };
    for (const std::string name : {"persafl", "fedasync", "fedbuff", "scaffold", "sgp", "dsgd"})
        CHECK_THAT(refusal({"--set", "aggregation.name=" + name, "--set", "federated.buffer_size=2"}),
                   Catch::Contains("use fedavg or fedprox"));
    CHECK_THAT(refusal({"--set", "defence.name=median"}), Catch::Contains("privacy.clip"));
    CHECK_THAT(refusal({"--set", "fleet.encoding=int8"}), Catch::Contains("leave it at float32"));
    const Ended few = fleet.command(job_of({"--set", "secure_aggregation.enabled=true", "--nodes", "a"}));
    CHECK(few.code == 2);
    CHECK_THAT(few.err, Catch::Contains("5 members at least"));
    const Ended here = run(fleet.folder, {"train", "classification", "--set", "aggregation.name=fedavg", "--set",
                                          "secure_aggregation.enabled=true", "--out", "here"});
    CHECK(here.code == 2);
    CHECK_THAT(here.err, Catch::Contains("dunlin fleet run"));
}

TEST_CASE("noise on real nodes' sums is charged, by the coordinator or by masked members") {
    const LiveFleet fleet(six);
    for (const bool masked : {false, true}) {
        INFO(masked);
        const json job = fleet.ask(
            job_of({"--set", "privacy.clip=0.5", "--set", "privacy.noise=1", "--set", "fleet.updates=4", "--set",
                    masked ? "secure_aggregation.enabled=true" : "secure_aggregation.enabled=false"}))["job"];
        REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "100"}).code == 0);
        const json status = fleet.ask({"status", "--job", job.dump()});
        REQUIRE(status["privacy"]["rounds"] == status["version"]);
        CHECK(status["version"] >= 4);
        // `dunlin privacy` finds what is stated.
        const Ended other = run(fleet.folder, {"privacy", "--noise", "1", "--rate", "1", "--steps",
                                               status["version"].dump(), "--delta", "1e-5", "--json"});
        const json found = json::parse(other.out);
        CHECK(status["privacy"]["epsilon"].get<double>() ==
              Approx(found["epsilon_pld"].get<double>()).epsilon(0.005));
        CHECK(fleet.ask({"pull", "--job", job.dump(), "--out", "noisy"}).contains("privacy"));
    }
}
